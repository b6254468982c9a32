-- Adds decisions of one outcome.
insert into outcomes (outcome, count) values (?1, ?2) on conflict (outcome) do update set count = count + excluded.count;
