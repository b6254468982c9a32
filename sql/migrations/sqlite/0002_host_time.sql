-- How long requests to a host took together: names the slow ones.
alter table hosts add column millis integer not null default 0 check (millis >= 0);

pragma user_version = 2;
