-- Which captions stand beside many images?
-- A row per caption that more than one image has, with the number of images and hosts. Stock phrases ("logo", "photo") teach
-- a model nothing; one host with all of them is a template.
select caption, count(distinct image_id) as images, count(distinct split_part(url, '/', 3)) as hosts
from pairs
group by caption
having count(distinct image_id) > 1
order by images desc, caption
limit 50;
