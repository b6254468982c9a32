-- Which images came more than once?
-- A row per picture (equal pixels, whatever the bytes) with more than one pair: its pairs, the hosts they came from, and one URL.
-- High counts are logos, placeholders, and the pictures that everybody shows.
select pixel_hash, count(*) as pool_pairs, count(distinct split_part(url, '/', 3)) as hosts, min(url) as example_url
from pairs
group by pixel_hash
having count(*) > 1
order by pool_pairs desc, pixel_hash
limit 50;
