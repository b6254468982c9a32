-- Where did the captions stand?
-- A row per field (alt, title, figcaption...), with all candidates, those that matched a query, and those fetched.
select field, count(*) as seen,
  sum(case when outcome = 'unmatched' then 0 else 1 end) as matched,
  sum(case when outcome = 'ok' then 1 else 0 end) as fetched
from candidates
group by field
order by seen desc, field;
