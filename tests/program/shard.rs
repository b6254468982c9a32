//! `shard`: killed at thirty moments it ends in the same bytes.

use crate::run::{Scratch, arg};
use std::time::Instant;

const KILLS: u32 = 30;

#[test]
fn killed_at_thirty_moments_the_bytes_are_the_same() {
    let scratch = Scratch::new();
    let web = web::Web::generate(1, web::Size::SMALL);
    web.write_test_set(&scratch.path("pictures"), &web.plan().seen).expect("written");
    let folder = scratch.path("pictures");
    scratch.ok(&["import", &format!("folder:{}", arg(&folder)), "--split", "train", "--out", "set"]);
    let args =
        |out: &'static str| ["shard", "--manifest", "set/manifest.parquet", "--holdout", "0.2", "--shard-samples", "20", "--out", out];
    let begun = Instant::now();
    scratch.ok(&args("calm"));
    let whole = begun.elapsed();
    // Every other kill falls on a first run, the next on one that replaces what is there.
    let mut seen_unfinished = 0;
    for kill in 0..KILLS {
        let mut child = scratch.start(&args("killed"));
        let share = (f64::from(kill) * 0.618_033_988_749_895 + 0.05).fract();
        std::thread::sleep(whole.mul_f64(share));
        let _ = child.kill();
        child.wait().expect("ended");
        seen_unfinished += u32::from(scratch.path("killed.diptych-part").exists());
        // What is under the name is whole at every moment.
        if scratch.path("killed").exists() {
            assert!(scratch.files("killed") == scratch.files("calm"), "kill {kill}");
            if kill % 2 == 0 {
                std::fs::remove_dir_all(scratch.path("killed")).expect("removed");
            }
        }
    }
    assert!(seen_unfinished > 0, "no kill came in time");
    scratch.ok(&args("killed"));
    assert!(scratch.files("killed") == scratch.files("calm"));
    assert!(!scratch.path("killed.diptych-part").exists() && !scratch.path("killed.old.diptych-part").exists());
}
