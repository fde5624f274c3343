//! Opening a store from the bytes of its state journal. The body is `streamlog::fuzzing::journal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    streamlog::fuzzing::journal(data);
});
