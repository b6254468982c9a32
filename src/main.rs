//! diptych.
mod report;

fn main() {}
