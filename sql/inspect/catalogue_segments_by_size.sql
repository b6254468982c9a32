-- Which segments are largest?
-- A row per segment: bytes of its tar, candidates decided, pairs fetched, and bytes per pair. Segments that are much smaller than
-- the others cost more to read than they hold.
select id as segment, bytes, candidates, pairs, round(bytes * 1.0 / case when pairs = 0 then 1 else pairs end, 1) as bytes_per_pair
from segments
order by bytes desc, id
limit 50;
