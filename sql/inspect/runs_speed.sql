-- How fast did each run train, and did it wait for data?
-- A row per run: mean samples a second, and the mean share of time spent waiting for data. More than a few hundredths of waiting means
-- that the loader, not the device, sets the pace: give it more --workers.
select run, round(avg(samples_per_second), 1) as samples_per_second, round(avg(data_wait), 4) as data_wait, max(seconds) as seconds
from metrics
group by run
order by run;
