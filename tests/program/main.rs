//! Tests of the whole program, as its users run it: the real binary in a scratch folder, against a small web on loopback.

mod bad_input;
mod demo;
mod faults;
mod formats;
mod kills;
mod line;
mod lists;
mod pool;
mod repair;
mod report;
mod run;
mod shard;
mod store;
mod takedown;
mod tidy;
mod two;
mod whole;
