//! A list of calls, on a store on the heap and on a model. The body is `streamlog::fuzzing::ops`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    streamlog::fuzzing::ops(data);
});
