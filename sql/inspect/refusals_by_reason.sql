-- Why does each selection refuse pairs?
-- A row per selection and first reason, with its share of all pairs judged. `kept` is a row too, so that shares add up to 1.
with judged as (select selection, count(*) as all_pairs from reasons group by selection)
select r.selection, r.reason, count(*) as refused, round(count(*) * 1.0 / min(j.all_pairs), 4) as share
from reasons r
join judged j on j.selection = r.selection
group by r.selection, r.reason
order by r.selection, refused desc, r.reason;
