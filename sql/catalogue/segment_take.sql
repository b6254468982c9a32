-- Rows of a segment's candidates that are decided anew elsewhere.
update segments set candidates = max(candidates - ?2, 0) where id = ?1;
