-- Adds newly seen pairs to a query's counter.
insert into counters (query_id, seen) values (?1, ?2) on conflict (query_id) do update set seen = seen + excluded.seen;
