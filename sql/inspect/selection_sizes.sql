-- What does each selection hold?
-- A row per selection and split: samples, their captions, and the groups of duplicates they form. Fewer groups than samples
-- means that copies were kept.
select selection, split, count(*) as samples, sum(array_length(captions)) as captions, count(distinct group_id) as groups
from samples
group by selection, split
order by selection, split;
