-- Moves a source to a state.
update sources set state = ?2 where id = ?1;
