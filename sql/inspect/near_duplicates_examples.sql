-- What do the near-duplicates look like that a selection refused?
-- A row per refused pair: its image and the image of the kept pair that `value` names. Open a few to see whether the threshold is
-- right.
select r.selection, r.pair_id, p.url, k.url as kept_url, p.caption, k.caption as kept_caption
from reasons r
join pairs p on p.pair_id = r.pair_id
join pairs k on k.pair_id = r.value
where r.reason = 'near-duplicate'
order by r.selection, r.pair_id
limit 50;
