-- Whether a source has a page that no job has.
select exists (select 1 from pages where source = ?1 and state = 'waiting');
