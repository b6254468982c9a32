-- Records the files of a job as part of the corpus.
insert into segments (id, candidates, pairs, bytes, time_ms) values (?1, ?2, ?3, ?4, ?5);
