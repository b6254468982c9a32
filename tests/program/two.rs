//! The two executables: the one that people type has no libtorch, and finds the other when it is needed.

use crate::run::Scratch;
use std::path::Path;

const PLAIN: &str = env!("CARGO_BIN_EXE_diptych");
const WITH_TORCH: &str = env!("CARGO_BIN_EXE_diptych-torch");

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn libtorch_is_linked_where_it_is_needed_only() {
    let names_it = |path: &str| {
        let bytes = std::fs::read(path).expect("the program");
        bytes.windows(15).any(|part| part == b"libtorch_cpu.so")
    };
    assert!(!names_it(PLAIN), "a command of `diptych` itself leads to libtorch, which takes longer to load than most commands");
    assert!(names_it(WITH_TORCH));
}

#[test]
fn words_and_exit_status_are_handed_over() {
    let scratch = Scratch::new();
    assert!(scratch.ok(&["model", "show", "RN50"]).out.contains("102007137"), "the published number of parameters");
    scratch.fails(&["model", "show", "no-such-model"], 2, "no-such-model");
    scratch.fails(&["train", "--epochs", "many"], 2, "--epochs");
}

#[test]
fn a_missing_other_half_is_named() {
    let scratch = Scratch::new();
    let alone = scratch.path("diptych");
    std::fs::copy(PLAIN, &alone).expect("copied");
    let said = |args: &[&str]| std::process::Command::new(Path::new(&alone)).args(args).output().expect("started");
    let status = said(&["status"]);
    assert!(status.status.success() && String::from_utf8_lossy(&status.stdout).contains("nothing can be trained"));
    let model = said(&["model", "show"]);
    assert_eq!(model.status.code(), Some(1));
    let text = String::from_utf8_lossy(&model.stderr).into_owned();
    assert!(text.contains(&scratch.path("diptych-torch").display().to_string()) && text.contains("make build"), "{text}");
    assert!(said(&["tokenizer", "--help"]).status.success());
}
