//! Chores of the project: `cargo xtask check`.

fn main() {}
