-- Decisions by outcome, the most frequent first.
select outcome, count from outcomes order by count desc, outcome;
