-- Records a job.
insert into jobs (source, kind, payload, state) values (?1, ?2, ?3, ?4) returning id;
