//! The catalogue of a corpus: a SQLite file that says what is to be done and what is done. Here it is opened and checked.
//!
//! Functions on work are in `jobs.rs`, `frontier.rs` and `commit.rs`, on what is known in `known.rs`. Statements are files of `catalogue/`.

use crate::Error;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The text of a statement file of `catalogue/`.
macro_rules! statement {
    ($name:literal) => {
        include_str!(concat!("../catalogue/", $name, ".sql"))
    };
}
pub(crate) use statement;

/// How a catalogue of version n becomes one of version n + 1, from 0, the empty file.
const MIGRATIONS: [&str; 3] = [
    include_str!("../migrations/sqlite/0001_catalogue.sql"),
    include_str!("../migrations/sqlite/0002_host_time.sql"),
    include_str!("../migrations/sqlite/0003_pages.sql"),
];
/// The mark of diptych's catalogues, as the first migration sets it.
const APPLICATION: i64 = 0x6469_7074;
/// How long to wait for another process's transaction. They are short; longer means a stopped process.
const PATIENCE: Duration = Duration::from_secs(30);

/// The open catalogue of one corpus. Shared by all threads: each function is one transaction under one lock.
///
/// The lock is a plain mutex because SQLite has one writer anyhow, and a read takes microseconds.
pub struct Catalogue {
    connection: Mutex<Connection>,
    path: PathBuf,
    /// Held from [`Catalogue::reopen`] on; its lock says that this process works on the corpus.
    claim: Mutex<Option<File>>,
}

impl Catalogue {
    /// Opens the catalogue at `path` for work, making or updating it when needed.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be opened or is no SQLite file, `NewerCatalogue` and `NotACatalogue` when it is
    /// another program's; the file is untouched then.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut connection = Connection::open(path).map_err(Error::catalogue("open tables", path))?;
        connection.busy_timeout(PATIENCE).map_err(Error::catalogue("set a timeout", path))?;
        check(&connection, path)?;
        begin(&connection).map_err(Error::catalogue("begin work", path))?;
        migrate(&mut connection, path)?;
        Ok(Catalogue { connection: Mutex::new(connection), path: path.to_path_buf(), claim: Mutex::new(None) })
    }

    /// Opens the catalogue at `path` to be looked at: while another process works on it, and on a read-only disk.
    ///
    /// # Errors
    /// As [`Catalogue::open`], and `Catalogue` when there is no such file or it is empty.
    pub fn open_read_only(path: &Path) -> Result<Self, Error> {
        let connection = connect_read_only(path)?;
        Ok(Catalogue { connection: Mutex::new(connection), path: path.to_path_buf(), claim: Mutex::new(None) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins work after a start: takes the corpus for this process until the catalogue is dropped, and makes open again
    /// the jobs that were leased when an earlier process died.
    ///
    /// # Errors
    /// `Claimed` when another process has the corpus, `Io` when the lock file beside the catalogue cannot be made.
    pub fn reopen(&self) -> Result<(), Error> {
        let mut claim = self.claim.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if claim.is_none() {
            *claim = Some(self.take_claim()?);
        }
        self.write("reopen jobs", |transaction| transaction.execute(statement!("job_reopen"), []).map(|_| ()))
    }

    /// Locks a file of its own: closing another handle of the database file would drop SQLite's own locks.
    fn take_claim(&self) -> Result<File, Error> {
        let mut name = self.path.clone().into_os_string();
        name.push(".lock");
        let path = PathBuf::from(name);
        let file = File::options().create(true).append(true).open(&path).map_err(Error::io("create", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::Claimed { path: self.path.clone() }),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
        }
    }

    /// A thread that died in a transaction has rolled it back, so a poisoned lock guards a sound connection.
    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Runs `work` as one transaction that has the right to write from its start; an error leaves all as it was.
    pub(crate) fn write<T>(&self, what: &'static str, work: impl FnOnce(&Transaction) -> rusqlite::Result<T>) -> Result<T, Error> {
        self.try_write(what, |transaction| work(transaction).map_err(Error::catalogue(what, &self.path)))
    }

    /// As [`Catalogue::write`], for work with errors of its own.
    pub(crate) fn try_write<T>(&self, what: &'static str, work: impl FnOnce(&Transaction) -> Result<T, Error>) -> Result<T, Error> {
        let mut connection = self.connection();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Error::catalogue(what, &self.path))?;
        let value = work(&transaction)?;
        transaction.commit().map_err(Error::catalogue(what, &self.path))?;
        Ok(value)
    }

    /// Reads all rows of a statement.
    pub(crate) fn read<T>(
        &self,
        what: &'static str,
        statement: &str,
        parameters: impl rusqlite::Params,
        row: impl FnMut(&rusqlite::Row) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let connection = self.connection();
        let mut prepared = connection.prepare_cached(statement).map_err(Error::catalogue(what, &self.path))?;
        let rows = prepared.query_map(parameters, row).and_then(Iterator::collect);
        rows.map_err(Error::catalogue(what, &self.path))
    }
}

/// SQLite's integers are signed; nothing counted here comes near 2^63, and a hostile count stops there.
pub(crate) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A column that a check keeps from being negative.
pub(crate) fn unsigned(row: &rusqlite::Row, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|n| u64::try_from(n).unwrap_or(0))
}

/// The file's version, if it is empty or a catalogue that this program can work with.
fn check(connection: &Connection, path: &Path) -> Result<usize, Error> {
    let row = connection.query_row(statement!("identify"), [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let (version, application, objects): (i64, i64, i64) = row.map_err(Error::catalogue("find tables", path))?;
    if application != APPLICATION && (objects > 0 || version != 0 || application != 0) {
        return Err(Error::NotACatalogue { path: path.to_path_buf() });
    }
    let known = MIGRATIONS.len();
    match usize::try_from(version) {
        Ok(version) if version <= known => Ok(version),
        _ => Err(Error::NewerCatalogue { path: path.to_path_buf(), found: version, known: known as i64 }),
    }
}

/// Sets how the file is worked with. Two that open a new file at once both change its journal, for which SQLite does not wait by itself.
fn begin(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.execute_batch(statement!("open")) {
            Err(rusqlite::Error::SqliteFailure(failure, _))
                if failure.code == rusqlite::ErrorCode::DatabaseBusy && begun.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

/// Brings the file to the newest version, all steps in one transaction. The version is read again within it, since
/// another process may just have done the same.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let failed = || Error::catalogue("make tables", path);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed())?;
    for step in &MIGRATIONS[check(&transaction, path)?..] {
        transaction.execute_batch(step).map_err(failed())?;
    }
    transaction.commit().map_err(failed())
}

/// Opens without the right to write. Where the folder cannot be written either, SQLite needs to be told that nobody else
/// can change the file.
fn connect_read_only(path: &Path) -> Result<Connection, Error> {
    let opened = look(path).map_err(Error::catalogue("open tables", path))?;
    let connection = match check(&opened, path) {
        Ok(_) => opened,
        Err(Error::Catalogue { source, .. }) if needs_to_write(&source) => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(immutable(path), flags).map_err(Error::catalogue("open tables", path))?
        }
        Err(error) => return Err(error),
    };
    match check(&connection, path)? {
        0 => Err(Error::NotACatalogue { path: path.to_path_buf() }),
        version if version < MIGRATIONS.len() => updated_copy(&connection, path),
        _ => Ok(connection),
    }
}

/// A connection that changes nothing. SQLite makes two files beside the catalogue even for a look, and only a connection with the right to
/// write takes them away again when it closes; it has that right where no such file is there that another program may have left.
fn look(path: &Path) -> rusqlite::Result<Connection> {
    let mut beside = path.as_os_str().to_os_string();
    beside.push("-wal");
    let right = if Path::new(&beside).exists() { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let opened = Connection::open_with_flags(path, right | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    opened.busy_timeout(PATIENCE)?;
    opened.pragma_update(None, "query_only", true)?;
    Ok(opened)
}

/// Whether SQLite could not read because it may not make its files beside the catalogue: the folder is another user's, or its disk is
/// read-only.
fn needs_to_write(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly))
}

/// An older catalogue as one of this version, in memory: who only looks leaves the file as it is.
fn updated_copy(old: &Connection, path: &Path) -> Result<Connection, Error> {
    let failed = || Error::catalogue("copy tables", path);
    let mut copy = Connection::open_in_memory().map_err(failed())?;
    let backup = rusqlite::backup::Backup::new(old, &mut copy).map_err(failed())?;
    // A crawl of an older program may write meanwhile: the copy begins anew until it is whole.
    backup.run_to_completion(i32::MAX, Duration::from_millis(5), None).map_err(failed())?;
    drop(backup);
    migrate(&mut copy, path)?;
    copy.pragma_update(None, "query_only", true).map_err(failed())?;
    Ok(copy)
}

/// The URI of a file that nobody changes.
fn immutable(path: &Path) -> String {
    let escape = |c: char| match c {
        '%' => "%25".to_string(),
        '?' => "%3f".to_string(),
        '#' => "%23".to_string(),
        c => c.to_string(),
    };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    format!("file:{}?immutable=1", path.to_string_lossy().chars().map(escape).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_by_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Catalogue>();
    }

    #[test]
    fn keeps_what_it_holds_when_opened_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("catalog.sqlite");
        let first = Catalogue::open(&path).expect("made").source("urls", "a.tsv").expect("added");
        assert_eq!(Catalogue::open(&path).expect("opened").source("urls", "a.tsv").expect("found"), first);
        assert_eq!(Catalogue::open_read_only(&path).expect("opened").sources().expect("listed").len(), 1);
        let error = Catalogue::open_read_only(&path).expect("opened").source("urls", "b.tsv").expect_err("refused");
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }

    #[test]
    fn older_versions_are_updated_and_looked_at_without_a_change() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("catalog.sqlite");
        let old = Connection::open(&path).expect("made");
        MIGRATIONS[..2].iter().for_each(|step| old.execute_batch(step).expect("made"));
        let rows = "insert into sources (kind, location) values ('web', 'http://a/');
            insert into jobs (source, kind, payload, state) values (1, 'pages', '', 'done');
            insert into pages (source, url, depth, state, job) values (1, 'http://a/', 0, 'done', 1), (1, 'http://a/b', 1, 'waiting', null),
            (1, 'http://b:8/', 1, 'waiting', null)";
        old.execute_batch(rows).expect("filled");
        drop(old);
        let before = std::fs::read(&path).expect("read");
        let looked = Catalogue::open_read_only(&path).expect("opened");
        assert_eq!((looked.status().expect("read").sources[0].pages_waiting, looked.pages_done(1).expect("read")), (2, 1));
        looked.source("web", "http://c/").expect_err("only looked at");
        assert_eq!(std::fs::read(&path).expect("read"), before);
        let catalogue = Catalogue::open(&path).expect("updated");
        let job = catalogue.lease_pages(1, 9, 1).expect("leased").expect("a job");
        assert_eq!(job.pages.iter().map(|page| page.url.as_str()).collect::<Vec<_>>(), ["http://b:8/"], "a has had its page");
    }

    #[test]
    fn refuses_a_newer_version_with_both_numbers() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("catalog.sqlite");
        drop(Catalogue::open(&path).expect("made"));
        Connection::open(&path).expect("opened").pragma_update(None, "user_version", 7).expect("set");
        for opened in [Catalogue::open(&path), Catalogue::open_read_only(&path)] {
            let error = opened.map(|_| ()).expect_err("refused").to_string();
            assert!(error.contains("has version 7") && error.contains("up to 3") && error.contains("catalog.sqlite"), "{error}");
        }
    }

    #[test]
    fn leaves_the_files_of_others_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("theirs.sqlite");
        Connection::open(&path).expect("opened").execute_batch("create table theirs (a)").expect("made");
        let before = std::fs::read(&path).expect("read");
        assert!(matches!(Catalogue::open(&path), Err(Error::NotACatalogue { .. })));
        assert_eq!(std::fs::read(&path).expect("read"), before);
        std::fs::write(&path, vec![b'x'; 5000]).expect("written");
        let error = Catalogue::open(&path).map(|_| ()).expect_err("refused").to_string();
        assert!(error.contains("theirs.sqlite") && error.contains("no SQLite file"), "{error}");
        let missing = Catalogue::open_read_only(&dir.path().join("none.sqlite")).map(|_| ()).expect_err("refused").to_string();
        assert!(missing.contains("none.sqlite") && missing.contains("check that its folder exists"), "{missing}");
    }

    #[test]
    fn the_first_opening_can_happen_twice_at_once() {
        let dir = tempfile::tempdir().expect("a folder");
        for round in 0..20 {
            let path = dir.path().join(format!("{round}.sqlite"));
            std::thread::scope(|scope| {
                let opening = || Catalogue::open(&path).and_then(|catalogue| catalogue.source("urls", "a"));
                let both = [scope.spawn(opening), scope.spawn(opening)];
                for thread in both {
                    assert_eq!(thread.join().expect("no panic").expect("opened").0, 1);
                }
            });
        }
    }

    #[test]
    fn one_process_works_on_a_corpus() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("catalog.sqlite");
        let first = Catalogue::open(&path).expect("made");
        first.reopen().expect("taken");
        first.reopen().expect("taken already");
        let second = Catalogue::open(&path).expect("looked at");
        assert!(matches!(second.reopen(), Err(Error::Claimed { .. })));
        drop(first);
        second.reopen().expect("free again");
    }

    #[test]
    fn a_look_leaves_no_files_behind() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("catalog.sqlite");
        Catalogue::open(&path).expect("made").source("urls", "a").expect("added");
        let names = || {
            let mut names: Vec<_> = std::fs::read_dir(dir.path()).expect("listed").flatten().map(|entry| entry.file_name()).collect();
            names.sort();
            names
        };
        let (before, bytes) = (names(), std::fs::read(&path).expect("read"));
        let looked = Catalogue::open_read_only(&path).expect("opened");
        assert_eq!(looked.sources().expect("read").len(), 1);
        let error = looked.source("urls", "b").expect_err("only looked at");
        assert!(error.to_string().contains("cannot be written"), "{error}");
        drop(looked);
        assert_eq!((names(), std::fs::read(&path).expect("read")), (before, bytes));
    }

    #[test]
    fn an_odd_path_can_be_read_only() {
        assert!(immutable(Path::new("/a b/100%?#.sqlite")).starts_with("file:/a b/100%25%3f%23.sqlite?immutable=1"));
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("100%?#.sqlite");
        drop(Catalogue::open(&path).expect("made"));
        assert!(Catalogue::open_read_only(&path).expect("opened").sources().expect("listed").is_empty());
    }
}
