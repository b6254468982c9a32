-- Which queries found nothing?
-- A row per kept query that no pair of the pool matches, with the pairs seen for it: 0 means the sources never speak of it,
-- more means that every one of them failed or was refused.
with hits as (select distinct unnest(query_ids) as query_id from pairs)
select q.id, q.text as query, coalesce(c.seen, 0) as seen
from queries q
left join hits h on q.id = h.query_id
left join counters c on q.id = c.query_id
where h.query_id is null and q.cut = ''
order by seen desc, q.id
limit 200;
