-- Which entries came nearest to being in the list?
-- A row per entry that a cut removed, the most frequent first: what a larger limit or a lower threshold would bring in.
select text, source, cut, count, pmi, views
from queries
where cut <> ''
order by count desc, text
limit 100;
