-- The source of this kind and location.
select id, state from sources where kind = ?1 and location = ?2;
