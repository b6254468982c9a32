-- A small piece of state kept earlier.
select value from properties where key = ?1;
