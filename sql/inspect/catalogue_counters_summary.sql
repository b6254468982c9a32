-- How unevenly are the queries seen?
-- A row per power of ten of pairs seen: the queries there and the pairs they stand for. The head is what the cap cuts.
with classes as (
  select case
    when seen < 1 then 0 when seen < 10 then 1 when seen < 100 then 10 when seen < 1000 then 100
    when seen < 10000 then 1000 when seen < 100000 then 10000 else 100000
  end as seen_from, seen
  from counters
)
select seen_from, count(*) as queries, sum(seen) as pairs_seen from classes group by seen_from order by seen_from;
