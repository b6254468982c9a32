-- Which queries have most pairs in the pool?
-- A row per query with pairs; a pair counts once for each query it matches, so the sum exceeds the number of pairs. Few
-- queries with most of the pairs is what the cap is there to prevent.
with hits as (select unnest(query_ids) as query_id from pairs)
select q.text as query, q.source, count(*) as pool_pairs
from hits h
join queries q on q.id = h.query_id
group by q.text, q.source
order by pool_pairs desc, query
limit 50;
