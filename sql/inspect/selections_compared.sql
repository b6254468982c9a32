-- How do the selections differ?
-- A row per selection: pairs judged, pairs kept and their share, and the samples they make. Samples below pairs kept means that pictures
-- came with several captions.
select selection, pairs, kept, round(kept * 1.0 / case when pairs = 0 then 1 else pairs end, 4) as share_kept, samples
from selections
order by selection;
