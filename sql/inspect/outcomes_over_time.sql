-- How did the crawl go, hour by hour?
-- A row per hour and outcome of candidates; `hour_ms` is its begin in milliseconds since 1970 UTC. A rate of ok that falls
-- while failures rise means that hosts have had enough.
select time_ms - time_ms % 3600000 as hour_ms, outcome, count(*) as decided
from candidates
group by hour_ms, outcome
order by hour_ms, decided desc, outcome;
