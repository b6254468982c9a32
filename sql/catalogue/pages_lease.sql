-- Gives the next waiting pages, nearest first, to a job.
update pages set state = 'leased', job = ?2
where id in (select id from pages where source = ?1 and state = 'waiting' order by depth, id limit ?3);
