-- How wide are the images?
-- A row per shape of the images as received. Cropping to a square loses most of a banner; more than a few of them say that
-- page furniture was collected.
with shapes as (
  select case
    when original_width >= 3 * original_height then 'banner, 3:1 or wider'
    when original_height >= 3 * original_width then 'column, 1:3 or taller'
    when original_width * 3 >= original_height * 4 then 'wide'
    when original_height * 3 >= original_width * 4 then 'tall'
    else 'about square'
  end as shape
  from pairs
)
select shape, count(*) as pool_pairs from shapes group by shape order by pool_pairs desc, shape;
