//! What a client may send. The body is `streamlog::fuzzing::resp`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    streamlog::fuzzing::resp(data);
});
