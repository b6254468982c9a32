-- How does the walk over the live web spread?
-- A row per source, depth and state of pages. Many waiting pages at a depth that grows without end are a trap or a calendar.
select s.location, p.depth, p.state, count(*) as pages
from pages p
join sources s on s.id = p.source
group by s.location, p.depth, p.state
order by s.location, p.depth, p.state;
