-- Puts the pages of an outcome back into the frontier.
update pages set state = 'waiting', job = null, outcome = '' where source = ?1 and state = 'done' and outcome = ?2;
