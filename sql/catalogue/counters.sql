-- All counters.
select query_id, seen from counters order by query_id;
