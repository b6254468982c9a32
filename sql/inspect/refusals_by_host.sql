-- Which hosts' images could not be fetched, and why?
-- A row per host and outcome other than ok, unmatched and full, the commonest first, with one example. Many `robots` rows
-- of one host are its wish; many `http_4xx`, `http_429` or `connect` rows may be a block.
select split_part(image_url, '/', 3) as host, outcome, count(*) as refused, min(detail) as example, min(image_url) as example_url
from candidates
where outcome not in ('ok', 'unmatched', 'full')
group by host, outcome
order by refused desc, host, outcome
limit 50;
