-- The inputs of a source's jobs of one kind, in the order they were recorded.
select payload from jobs where source = ?1 and kind = ?2 order by id;
