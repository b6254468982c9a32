-- The largest number that a job has had; 0 when there was none.
select coalesce(max(id), 0) from jobs;
