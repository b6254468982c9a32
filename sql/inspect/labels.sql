-- How many samples has each class?
-- A row per folder of --shards, split and class number (the place in `classes.json`). Rare classes are measured badly: 100 pictures leave an
-- interval of about ten points of accuracy.
select folder, split, label, count(*) as samples
from shard_samples
where label is not null
group by folder, split, label
order by folder, split, label;
