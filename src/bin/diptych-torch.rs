//! The part of the program that is linked with libtorch. `diptych` starts it where it must.

use std::process::ExitCode;

fn main() -> ExitCode {
    diptych::main_with_torch()
}
