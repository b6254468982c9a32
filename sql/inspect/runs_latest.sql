-- How far is each run?
-- A row per run with metrics: its last step and the number of lines it wrote.
select run, max(step) as last_step, count(*) as lines from metrics group by run order by run;
