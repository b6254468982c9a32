-- Rows of a segment's pool file, counted anew.
update segments set pairs = ?2 where id = ?1;
