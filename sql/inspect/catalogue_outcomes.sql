-- What became of everything decided so far?
-- A row per outcome of candidates, of pages as `page:OUTCOME`, and of what gave no candidate as `row:`, `pair:` and `image:OUTCOME`,
-- with its share of its own kind. `full` is the cap's work, `unmatched` the query list's; the others are failures worth a look.
select o.outcome, o.count, round(o.count * 1.0 / k.kind_count, 4) as share
from (
  select outcome, count, case when outcome like '%:%' then substr(outcome, 1, 4) else 'candidate' end as kind from outcomes
) o
join (
  select case when outcome like '%:%' then substr(outcome, 1, 4) else 'candidate' end as kind, sum(count) as kind_count
  from outcomes
  group by case when outcome like '%:%' then substr(outcome, 1, 4) else 'candidate' end
) k on k.kind = o.kind
order by o.count desc, o.outcome;
