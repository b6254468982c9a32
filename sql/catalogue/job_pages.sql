-- The pages of a job, nearest first.
select url, depth from pages where job = ?1 order by depth, id;
