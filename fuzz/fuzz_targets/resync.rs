//! Walking a segment over damage. The body is `streamlog::fuzzing::resync`.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use streamlog::fuzzing::{Form, mutate};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(Form::Segments(1), data, size, max_size, seed, &mut fuzzer_mutate)
});

fuzz_target!(|data: &[u8]| {
    streamlog::fuzzing::resync(data);
});
