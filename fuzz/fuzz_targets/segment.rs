//! Recovery of a stream from the bytes of its segments. The body is `streamlog::fuzzing::segment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    streamlog::fuzzing::segment(data);
});
