-- Adds a page to the frontier; a known one is left as it is, whatever its depth.
insert into pages (source, url, depth) values (?1, ?2, ?3) on conflict (source, url) do nothing;
