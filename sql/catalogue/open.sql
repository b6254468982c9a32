-- Settings of a connection that writes. wal: readers never wait for the writer. full: a commit is on disk when it returns,
-- since segments are swept or kept by it.
pragma journal_mode = wal;
pragma synchronous = full;
pragma foreign_keys = on;
