-- Whether the file itself is whole: one row that says ok, else what is wrong.
pragma integrity_check(20);
