#!/bin/sh
# Runs the tests under AddressSanitizer (memory that is used after it was freed or beyond its end)
# and under ThreadSanitizer (data races, in the orders that happened). Run from the root of the
# crate; arguments are `address` or `thread`, both without any. Needs a nightly compiler and
# `rustup component add rust-src --toolchain nightly`: the standard library is built with the
# sanitizer too, which else does not see what its locks and counters order.
#
# Not run: a test that counts page faults, of which the sanitizer has its own; programs that fork,
# kill or measure the process, which the sanitizer swells (`fork`, `kill`, `soak`, `full_disk`,
# `limits`); and those on one thread that take hours here (`power_loss`, `byte_sweep`, `io_errors`).
set -eu

host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTUP_TOOLCHAIN="${STREAMLOG_NIGHTLY:-nightly}" CARGO_PROFILE_DEV_DEBUG=0 RUST_BACKTRACE=0
# Tests forget stores, as a process does that is killed; what leaks is for the soak to see.
export ASAN_OPTIONS="detect_leaks=0" TSAN_OPTIONS="halt_on_error=1"
# The default takes ten times as long here as in a plain build.
export STREAMLOG_MODEL_CASES="${STREAMLOG_MODEL_CASES:-20}"

for sanitizer in ${*:-address thread}; do
    echo "== $sanitizer"
    RUSTFLAGS="-Zsanitizer=$sanitizer" CARGO_TARGET_DIR="target/$sanitizer" \
        cargo test --quiet --no-fail-fast -Zbuild-std --target "$host" --lib --test api --test groups \
        --test bad_input --test damage --test read_only --test concurrency --test invariants \
        --test seam --test model -- --skip nobody_waits_for_bytes_that_were_touched
done
