-- Which queries lose most to the cap?
-- `seen` is the number of distinct pairs that matched, `pooled` those of them in the pool, `refused_full` those that were
-- outside the cap for all their queries. Of a query far above the cap, pooled / seen is about the cap divided by seen; much
-- less points to failing fetches instead.
with hits as (select unnest(query_ids) as query_id, outcome from candidates),
tally as (
  select query_id,
    sum(case when outcome = 'full' then 1 else 0 end) as refused_full,
    sum(case when outcome = 'ok' then 1 else 0 end) as pooled
  from hits
  group by query_id
)
select q.text as query, c.seen, t.pooled, t.refused_full
from tally t
join counters c on c.query_id = t.query_id
join queries q on q.id = t.query_id
where t.refused_full > 0
order by refused_full desc, query
limit 50;
