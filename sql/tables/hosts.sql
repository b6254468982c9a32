-- The hosts, as the frame hosts.
select host, requests, successes, refused, bytes, millis from hosts;
