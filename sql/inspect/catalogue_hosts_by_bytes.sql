-- Which hosts gave most, and what did they refuse?
-- A row per host: bytes received, requests, the share of them that gave what was asked for, and URLs not asked for because the
-- host does not wish it.
select host, bytes, requests, round(successes * 1.0 / case when requests = 0 then 1 else requests end, 3) as success_share, refused
from hosts
order by bytes desc, host
limit 50;
