-- The catalogue's small state, as the frame properties.
select key, value from properties;
