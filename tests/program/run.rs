//! Runs the real program in a scratch folder and keeps what it said, so that a failure needs no second run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A scratch folder and the program.
pub struct Scratch {
    dir: tempfile::TempDir,
}

/// What a finished run said.
pub struct Said {
    /// Exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    line: String,
}

impl Scratch {
    /// An empty folder.
    pub fn new() -> Self {
        Scratch { dir: tempfile::tempdir().expect("a scratch folder") }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file in the folder.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, bytes).expect("written");
        path
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_diptych"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        // Tests run beside each other, and libtorch's threads wait for each other by spinning: one each.
        command.env("OMP_NUM_THREADS", "1");
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, args: &[&str]) -> Said {
        let output = self.command(args).output().expect("the program starts");
        Said::new(args, output)
    }

    /// Runs the program with further variables in its environment.
    pub fn run_with(&self, environment: &[(&str, &str)], args: &[&str]) -> Said {
        let output = self.command(args).envs(environment.iter().copied()).output().expect("the program starts");
        Said::new(args, output)
    }

    /// Every file below a folder, by its path from there.
    pub fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let root = self.path(folder);
        let (mut files, mut folders) = (BTreeMap::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&root).expect("below").to_string_lossy().into_owned();
                    files.insert(name, std::fs::read(&path).expect("read"));
                }
            }
        }
        files
    }

    /// Runs the program and expects success.
    pub fn ok(&self, args: &[&str]) -> Said {
        let said = self.run(args);
        assert_eq!(said.code, Some(0), "{said}");
        said
    }

    /// Runs the program, expects this exit status and this text on stderr, and no panic.
    pub fn fails(&self, args: &[&str], code: i32, text: &str) -> Said {
        let said = self.run(args);
        assert_eq!(said.code, Some(code), "{said}");
        assert!(said.err.contains(text), "expected {text:?} in\n{said}");
        assert!(!said.err.contains("panicked"), "{said}");
        said
    }

    /// Starts the program without waiting.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
    }
}

impl Said {
    fn new(args: &[&str], output: Output) -> Self {
        Said {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            line: args.join(" "),
        }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "diptych {}\nstatus {:?}\n--- stdout\n{}\n--- stderr\n{}", self.line, self.code, self.out, self.err)
    }
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
