-- Which wrong answers was a run surest of?
-- A row per picture that was taken for another class, the most probable first. Labels that are wrong themselves often stand here.
select run, file, sample_key, class, answer, round(probability, 4) as probability
from predictions
where right = 0 and answer is not null
order by probability desc, run, file, sample_key
limit 100;
