-- The state of a job, for the message that refuses it.
select state from jobs where id = ?1;
