-- The sources, as the frame sources.
select id, kind, location, state from sources;
