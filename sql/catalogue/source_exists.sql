-- Whether there is a source of this number.
select exists (select 1 from sources where id = ?1);
