-- Are the shards of even size?
-- A row per tar of --shards: samples by split, and bytes. Tars of one folder should be alike but for the last; a tar of 0 bytes is missing.
select folder, shard, samples, train, val, test, bytes
from shards
order by folder, shard;
