//! Why a command stopped, and the exit status that says so.

use std::error::Error;
use std::process::ExitCode;

/// What a subcommand answers when it cannot go on.
#[derive(Debug)]
pub enum Failure {
    /// The user asked for something that cannot be: exit status 2.
    Usage(String),
    /// Something went wrong on the way: exit status 1.
    Run(Box<dyn Error + Send + Sync>),
    /// A signal ended the work in good order, which was said already: exit status 130, as shells give it, so that what follows it does
    /// not begin.
    Stopped,
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Run(Box::new(error))
    }
}

impl Failure {
    /// Prints the chain of causes once and gives the exit status. A reader that went away (`diptych sql ... | head`) is no failure.
    pub fn report(self) -> ExitCode {
        match self {
            Failure::Usage(message) => {
                eprintln!("diptych: {message}");
                ExitCode::from(2)
            }
            Failure::Stopped => ExitCode::from(130),
            Failure::Run(error) => {
                if is_broken_pipe(error.as_ref()) {
                    return ExitCode::SUCCESS;
                }
                eprintln!("diptych: {}", chain(error.as_ref()));
                ExitCode::FAILURE
            }
        }
    }
}

/// The messages from the outermost to the root cause, each once: libraries often repeat their cause in their own text, or are
/// repeated by it.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    let mut next = error.source();
    while let Some(cause) = next {
        let message = cause.to_string();
        if !text.contains(&message) && !message.ends_with(&last) {
            text.push_str(": ");
            text.push_str(&message);
        }
        last = message;
        next = cause.source();
    }
    text
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe) {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_each_cause_once() {
        let io = std::io::Error::other("disk on fire");
        let error = shards::Error::Io { what: "write", path: "a/b".into(), source: io };
        assert_eq!(chain(&error), "cannot write a/b: disk on fire");
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("catalog.sqlite");
        std::fs::write(&path, "something else").expect("written");
        let error = sql::Catalogue::open_read_only(&path).and_then(|catalogue| catalogue.sources()).map(|_| ()).expect_err("refused");
        assert_eq!(chain(&error).matches("file is not a database").count(), 1, "{}", chain(&error));
    }
}
