//! The `diptych` program: flags, configuration, progress, one short file per subcommand, wiring of the rooms.

mod cli;
mod config;
mod corpus;
mod crawl;
mod curate;
mod demo;
mod eval;
mod failure;
mod import;
mod model;
mod pairs;
mod progress;
mod remove;
mod report;
mod shard;
mod sql;
mod status;
mod tokenizer;
mod train;
mod verify;
mod wordlist;

use clap::Parser;
use cli::{Cli, Command, Eval, Model, Tokenizer};
use failure::Failure;
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitCode;

/// The executable that has libtorch, which stands beside `diptych`.
const WITH_TORCH: &str = "diptych-torch";

/// What `diptych` does: loading libtorch takes longer than most commands, and machines that only collect need not have it, so commands
/// that compute with it are handed to the executable beside this one. Nothing else may lead to libtorch's functions from here: then the
/// linker leaves it out (a test looks).
pub fn main_without_torch() -> ExitCode {
    start(run)
}

/// What `diptych-torch` does: every command.
pub fn main_with_torch() -> ExitCode {
    start(run_with_torch)
}

/// Reads flags and `diptych.toml`, and says how the command ended.
fn start(run: fn(&Command) -> Result<(), Failure>) -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("DIPTYCH_LOG").unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let args = match config::with_config(std::env::args_os().collect(), Path::new("diptych.toml")) {
        Ok(args) => args,
        Err(message) => return Failure::Usage(message).report(),
    };
    match run(&Cli::parse_from(args).command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Where the executable with libtorch should be.
fn with_torch() -> std::io::Result<std::path::PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(WITH_TORCH))
}

/// Becomes [`WITH_TORCH`], with the same words; returns only when that is not possible.
fn hand_over() -> Failure {
    let path = match with_torch() {
        Ok(path) => path,
        Err(error) => return error.into(),
    };
    let error = std::process::Command::new(&path).args(std::env::args_os().skip(1)).exec();
    let text = format!(
        "cannot start {}, which has the commands that compute: {error}; `make build` makes both, keep them together",
        path.display()
    );
    std::io::Error::new(error.kind(), text).into()
}

/// Runs a command that needs libtorch in this process, as any other.
fn run_with_torch(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Train(flags) => train::run(flags),
        Command::Eval(Eval::ZeroShot(flags)) => eval::zero_shot(flags),
        Command::Model(Model::Show(flags)) => model::show(flags),
        Command::Model(Model::Convert(flags)) => model::convert(flags),
        Command::Device => status::device(),
        Command::Demo(flags) => demo::run(flags),
        other => run(other),
    }
}

/// Runs a command, without libtorch.
fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Wordlist(flags) => wordlist::run(flags),
        Command::Crawl(flags) => crawl::run(flags),
        Command::Pairs(flags) => pairs::run(flags),
        Command::Curate(flags) => curate::run(flags),
        Command::Shard(flags) => shard::run(flags),
        Command::Import(flags) => import::run(flags),
        Command::Tokenizer(Tokenizer::Train(flags)) => tokenizer::train(flags),
        Command::Tokenizer(Tokenizer::Encode(flags)) => tokenizer::encode(flags),
        Command::Sql(flags) => sql::run(flags),
        Command::Status(flags) => status::run(flags),
        Command::Verify(flags) => verify::run(flags),
        Command::Remove(flags) => remove::run(flags),
        Command::Report(flags) => report::run(flags),
        Command::Train(_) | Command::Eval(_) | Command::Model(_) | Command::Device | Command::Demo(_) => Err(hand_over()),
    }
}
