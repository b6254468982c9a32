-- Where do the queries come from, and what was cut of each source?
-- `kept` are in use; `below_pmi` are pairs of words with less information than asked for, `beyond_rank` pairs beyond the number
-- taken, `beyond_limit` what found no room in the quotas. A source with many beyond the limit would fill a longer list.
select source,
  sum(case when cut = '' then 1 else 0 end) as kept,
  sum(case when cut = 'pmi' then 1 else 0 end) as below_pmi,
  sum(case when cut = 'rank' then 1 else 0 end) as beyond_rank,
  sum(case when cut = 'limit' then 1 else 0 end) as beyond_limit
from queries
group by source
order by kept desc, source;
