-- Marks the pages of a job as done.
update pages set state = 'done' where job = ?1;
