-- The jobs, as the frame jobs.
select id, source, kind, payload, state from jobs;
