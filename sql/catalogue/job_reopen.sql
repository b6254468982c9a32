-- Gives back what was leased when the program died. Their pages stay with them: a job's input never changes.
update jobs set state = 'open' where state = 'leased';
