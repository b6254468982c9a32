-- How large were the images as received?
-- A row per class of the shorter side, in pixels: `from_side` up to twice that. Images far smaller than the stored size were
-- enlarged and carry no more detail than they had.
with sides as (
  select case when original_width < original_height then original_width else original_height end as side, flatness from pairs
),
classes as (
  select case
    when side < 32 then 0 when side < 64 then 32 when side < 128 then 64 when side < 256 then 128
    when side < 512 then 256 when side < 1024 then 512 else 1024
  end as from_side, flatness from sides
)
select from_side, count(*) as pool_pairs, round(avg(flatness), 3) as mean_flatness
from classes
group by from_side
order by from_side;
