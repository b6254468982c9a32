-- Pairs seen by query, as the frame counters.
select query_id, seen from counters;
