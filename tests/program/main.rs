//! Tests of the whole program, as its users run it: the real binary in a scratch folder, against a small web on loopback.

mod bad_input;
mod demo;
mod faults;
mod kills;
mod line;
mod report;
mod run;
mod tidy;
mod whole;
