-- Adds to what is known of a host.
insert into hosts (host, requests, successes, refused, bytes, millis) values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict (host) do update set
  requests = requests + excluded.requests,
  successes = successes + excluded.successes,
  refused = refused + excluded.refused,
  bytes = bytes + excluded.bytes,
  millis = millis + excluded.millis;
