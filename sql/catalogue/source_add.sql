-- Makes a source known; a known one is left as it is.
insert into sources (kind, location) values (?1, ?2) on conflict (kind, location) do nothing;
