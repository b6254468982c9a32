-- Each source with its jobs and pages by state.
select
  s.id, s.kind, s.location, s.state,
  coalesce(j.open, 0), coalesce(j.leased, 0), coalesce(j.done, 0),
  coalesce(p.waiting, 0), coalesce(p.leased, 0), coalesce(p.done, 0)
from sources s
left join (
  select source,
    sum(case when state = 'open' then 1 else 0 end) as open,
    sum(case when state = 'leased' then 1 else 0 end) as leased,
    sum(case when state = 'done' then 1 else 0 end) as done
  from jobs group by source
) j on j.source = s.id
left join (
  select source,
    sum(case when state = 'waiting' then 1 else 0 end) as waiting,
    sum(case when state = 'leased' then 1 else 0 end) as leased,
    sum(case when state = 'done' then 1 else 0 end) as done
  from pages group by source
) p on p.source = s.id
order by s.id;
