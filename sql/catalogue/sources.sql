-- All sources, oldest first.
select id, kind, location, state from sources order by id;
