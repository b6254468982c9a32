-- Gives the next waiting pages of a host, nearest first, to a job.
update pages set state = 'leased', job = ?2
where id in (select id from pages where source = ?1 and host = ?3 and state = 'waiting' order by depth, id limit ?4);
