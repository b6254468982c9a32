-- Where does this pair come from, and why was it kept or refused?
-- A row per selection (one row without, if there is none) for the pair whose id begins with :pair: page, caption, the crawl's outcome, the
-- selection's reason and what the rule saw. Ask with --param pair=VALUE, or \i pair_history pair=VALUE.
select c.pair_id, c.page_url, c.image_url, c.field, c.caption, c.outcome, c.detail, r.selection, r.reason, r.value
from candidates c
left join reasons r on r.pair_id = c.pair_id
where starts_with(c.pair_id, :pair)
order by c.pair_id, r.selection
limit 50;
