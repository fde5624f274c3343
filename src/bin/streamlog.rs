//! The program `streamlog`: serves a store over Redis's protocol.

fn main() {}
