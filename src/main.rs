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
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("DIPTYCH_LOG").unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let args = match config::with_config(std::env::args_os().collect(), Path::new("diptych.toml")) {
        Ok(args) => args,
        Err(message) => return Failure::Usage(message).report(),
    };
    match run(Cli::parse_from(args).command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Wordlist(flags) => wordlist::run(&flags),
        Command::Crawl(flags) => crawl::run(&flags),
        Command::Pairs(flags) => pairs::run(&flags),
        Command::Curate(flags) => curate::run(&flags),
        Command::Shard(flags) => shard::run(&flags),
        Command::Import(flags) => import::run(&flags),
        Command::Train(flags) => train::run(&flags),
        Command::Eval(Eval::ZeroShot(flags)) => eval::zero_shot(&flags),
        Command::Model(Model::Show(flags)) => model::show(&flags),
        Command::Model(Model::Convert(flags)) => model::convert(&flags),
        Command::Tokenizer(Tokenizer::Train(flags)) => tokenizer::train(&flags),
        Command::Tokenizer(Tokenizer::Encode(flags)) => tokenizer::encode(&flags),
        Command::Sql(flags) => sql::run(&flags),
        Command::Status(flags) => status::run(&flags),
        Command::Verify(flags) => verify::run(&flags),
        Command::Remove(flags) => remove::run(&flags),
        Command::Report(flags) => report::run(&flags),
        Command::Demo(flags) => demo::run(&flags),
    }
}
