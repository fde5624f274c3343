#!/bin/sh
# Runs the tests under AddressSanitizer (memory that is used after it was freed or beyond its end)
# and under ThreadSanitizer (data races, in the orders that happened). Run from the root of the
# crate; arguments are `address` or `thread`, both without any. Needs a nightly compiler and
# `rustup component add rust-src --toolchain nightly`: the standard library is built with the
# sanitizer too, which else does not see what its locks and counters order.
#
# Not run: tests that fork or kill (`fork`, `kill`, `soak`, `full_disk`, `limits`), which measure
# the process that the sanitizer swells; those that include the sources of the crate to break them
# or cut the power on one thread, which the plain runs cover (`power_loss`, `byte_sweep`).
set -eu

host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTUP_TOOLCHAIN="${STREAMLOG_NIGHTLY:-nightly}" CARGO_PROFILE_DEV_DEBUG=0 RUST_BACKTRACE=0
export ASAN_OPTIONS="detect_leaks=1" TSAN_OPTIONS="halt_on_error=1"
# As it needs a few minutes in a plain build, and ten times as long here.
export STREAMLOG_MODEL_CASES="${STREAMLOG_MODEL_CASES:-20}"

for sanitizer in ${*:-address thread}; do
    echo "== $sanitizer"
    RUSTFLAGS="-Zsanitizer=$sanitizer" CARGO_TARGET_DIR="target/$sanitizer" \
        cargo test --quiet -Zbuild-std --target "$host" --lib --test api --test groups \
        --test bad_input --test damage --test read_only --test concurrency --test invariants \
        --test seam --test model
done
