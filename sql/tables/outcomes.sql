-- Decisions by outcome, as the frame outcomes.
select outcome, count from outcomes;
