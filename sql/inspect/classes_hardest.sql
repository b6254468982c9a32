-- Which classes does a run get wrong most?
-- A row per evaluation and class, the worst first. Few pictures make a share uncertain: with 25 of them it may be off by a fifth.
select run, file, class, n, correct, round(correct * 1.0 / n, 4) as share
from class_results
where n > 0
order by share, n desc, run, file, class
limit 100;
