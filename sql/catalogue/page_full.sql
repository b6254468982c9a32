-- Leaves a waiting request of a query that has enough, until a larger cap takes it up.
update pages set state = 'done', outcome = 'full' where id = ?1;
