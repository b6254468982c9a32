-- Leases the open job of a kind with the lowest number.
update jobs set state = 'leased'
where id = (select id from jobs where source = ?1 and state = 'open' and kind = ?2 order by id limit 1)
returning id, payload;
