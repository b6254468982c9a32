-- The waiting pages of a source, nearest first.
select id, url, depth from pages where source = ?1 and state = 'waiting' order by depth, id limit ?2;
