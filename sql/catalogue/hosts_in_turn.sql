-- Hosts of a source with waiting pages, those asked least first: how many pages each was asked for, and how many it may give by the bound over
-- all sources.
select h.host, h.asked, min(h.waiting, ?3 - (select sum(o.asked) from page_hosts o where o.host = h.host)) as room
from page_hosts h
where h.source = ?1 and h.waiting > 0 and (select sum(o.asked) from page_hosts o where o.host = h.host) < ?3
order by h.asked, h.host
limit ?2;
