-- Takes decisions back that are made anew.
update outcomes set count = max(count - ?2, 0) where outcome = ?1;
