//! The checkpoints of the state journal, read and written again. The body is `streamlog::fuzzing::checkpoint`.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use streamlog::fuzzing::{Form, mutate};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(Form::Journal(3), data, size, max_size, seed, &mut fuzzer_mutate)
});

fuzz_target!(|data: &[u8]| {
    streamlog::fuzzing::checkpoint(data);
});
