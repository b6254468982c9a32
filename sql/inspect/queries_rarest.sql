-- Which queries in use are the rarest?
-- By how often they were counted in the dumps. Those with 0 were never seen there: titles, synsets and added entries may be.
select id, text, source, count, pmi, views
from queries
where cut = ''
order by count, id
limit 100;
