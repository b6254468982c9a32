-- Pages of a source that were fetched, or given up for a reason.
select count(*) from pages where source = ?1 and state = 'done';
