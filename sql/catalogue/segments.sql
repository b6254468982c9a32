-- Numbers of the segments whose files belong to the corpus.
select id from segments order by id;
