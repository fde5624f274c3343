//! One frame, one footer, one file header. The body is `streamlog::fuzzing::frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    streamlog::fuzzing::frame(data);
});
