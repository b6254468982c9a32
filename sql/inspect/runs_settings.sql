-- What were the runs told to do?
-- A row per run and setting, parents too. Settings that are equal in all runs are left in: join or filter as you need.
select run, property, value from run_properties order by property, run;
