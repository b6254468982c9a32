-- How long are the captions?
-- A row per number of words, with the pairs that have it. The text tower sees 77 tokens at most, about 55 words of English.
select array_length(string_to_array(caption, ' ')) as words, count(*) as pool_pairs
from pairs
group by words
order by words;
