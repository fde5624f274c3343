//! The texts of IDs. The body is `streamlog::fuzzing::id`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    streamlog::fuzzing::id(data);
});
