-- What is left to do?
-- A row per source, kind and state of jobs that are not done. Leased jobs while no crawl is running are those of a process that
-- died; the next crawl does them again.
select s.source_kind, s.location, j.job_kind, j.state, count(*) as jobs, min(j.id) as first_job
from (select id, source, kind as job_kind, state from jobs where state <> 'done') j
join (select id as source_id, kind as source_kind, location from sources) s on s.source_id = j.source
group by s.source_kind, s.location, j.job_kind, j.state
order by s.location, j.job_kind, j.state;
