-- All hosts, those that gave most bytes first.
select host, requests, successes, refused, bytes, millis from hosts order by bytes desc, host;
