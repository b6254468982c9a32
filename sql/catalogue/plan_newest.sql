-- The input of the newest plan job of a source.
select payload from jobs where source = ?1 and kind = 'plan' order by id desc limit 1;
