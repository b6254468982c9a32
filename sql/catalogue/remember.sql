-- Keeps a small piece of state.
insert into properties (key, value) values (?1, ?2) on conflict (key) do update set value = excluded.value;
