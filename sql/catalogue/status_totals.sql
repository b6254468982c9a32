-- What the corpus holds.
select
  (select count(*) from segments),
  (select coalesce(sum(candidates), 0) from segments),
  (select coalesce(sum(pairs), 0) from segments),
  (select coalesce(sum(bytes), 0) from segments),
  (select count(*) from hosts),
  (select count(*) from counters where seen > 0);
