-- Work left of a source: unfinished jobs, and pages that no job has yet.
select
  (select count(*) from jobs where source = ?1 and state in ('open', 'leased'))
  + (select count(*) from pages where source = ?1 and state = 'waiting') as jobs_left;
