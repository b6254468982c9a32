-- Gives a page that was not visited back to the frontier.
update pages set state = 'waiting', job = null where source = ?1 and url = ?2 and state <> 'waiting';
