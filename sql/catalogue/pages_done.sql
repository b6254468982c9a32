-- Pages of a source that were asked for, whatever came of it.
select count(*) from pages where source = ?1 and state = 'done' and asked;
