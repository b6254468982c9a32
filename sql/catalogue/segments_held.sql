-- What each committed segment holds.
select id, candidates, pairs, bytes, time_ms from segments order by id;
