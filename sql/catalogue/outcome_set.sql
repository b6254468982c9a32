-- Decisions of one outcome, counted anew.
insert into outcomes (outcome, count) values (?1, ?2) on conflict (outcome) do update set count = excluded.count;
