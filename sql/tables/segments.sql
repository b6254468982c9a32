-- The committed segments, as the frame segments.
select id, candidates, pairs, bytes, time_ms from segments;
