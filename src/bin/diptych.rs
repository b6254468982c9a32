//! The program: all commands, those that compute by way of `diptych-torch`.

use std::process::ExitCode;

fn main() -> ExitCode {
    diptych::main_without_torch()
}
