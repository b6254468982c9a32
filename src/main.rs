//! diptych.
fn main() {}
