-- Which pairs speak of a word, and what became of them?
-- A row per pair whose caption holds :word (in small letters, as part of any word), with the outcome of the crawl. `ok` ones are in
-- the pool; why a selection then refused one, `pair_history` tells. Ask with --param word=VALUE, or \i caption_search word=VALUE.
select pair_id, outcome, detail, caption, image_url
from candidates
where strpos(lower(caption), :word) > 0
order by outcome, pair_id
limit 50;
