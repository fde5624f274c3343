//! A list of operations on a disk whose power fails at the moments that the input says. The body is
//! `crash_ops` of the power-loss simulator, tests/power_loss/fuzz.rs, which has the crate's sources
//! compiled in as modules: the seam that it stands behind is private.
#![no_main]
#![allow(dead_code, unused_imports, unreachable_pub)]

include!("../../tests/ground/source.rs");

#[path = "../../tests/power_loss/mod.rs"]
mod sim;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    sim::fuzz::crash_ops(data);
});
