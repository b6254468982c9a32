-- Marks a leased job as done; no row changes for any other.
update jobs set state = 'done' where id = ?1 and source = ?2 and state = 'leased';
