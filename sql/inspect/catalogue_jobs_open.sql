-- What is left to do?
-- A row per source, kind and state of jobs that are not done. Leased jobs while no crawl is running are those of a process that
-- died; the next crawl does them again.
select s.kind as source_kind, s.location, j.kind as job_kind, j.state, count(*) as jobs, min(j.id) as first_job
from jobs j
join sources s on s.id = j.source
where j.state <> 'done'
group by s.kind, s.location, j.kind, j.state
order by s.location, j.kind, j.state;
