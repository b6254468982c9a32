-- How good is each run?
-- A row per evaluation: pictures, top-1 accuracy, and the half width of its 95 % interval (normal approximation). Two runs whose intervals
-- overlap widely are not told apart.
select run, file, n, round(top1, 4) as top1, round(1.96 * sqrt(top1 * (1 - top1) / n), 4) as half_width
from evals
where top1 is not null and n > 0
order by top1 desc, run, file;
