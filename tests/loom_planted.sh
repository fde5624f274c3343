#!/bin/sh
# Plants each fault of src/sync.rs and checks that a loom model finds it, after checking that the
# models hold without one. Run from the root of the crate; the table is in tests/loom.rs.
#
# The flag goes to the test alone (`cargo rustc`), as that includes the sources which it changes.
# Each model runs in its own process: one that fails may abort, as it unwinds through destructors.
set -eu

export RUSTFLAGS="--cfg loom" RUST_BACKTRACE=0
dir="${CARGO_TARGET_DIR:-target}"
mkdir -p "$dir"
log="$dir/loom-planted.log"

# Makes $dir/loom-model with the given fault.
build() {
    cargo rustc --quiet --release --test loom --message-format json -- --cfg "planted=\"$1\"" \
        2>/dev/null | sed -n 's/.*"executable":"\([^"]*loom-[^"]*\)".*/\1/p' >"$log"
    cp "$(cat "$log")" "$dir/loom-model"
}

build none
"$dir/loom-model" --quiet

status=0
for fault in weak_publish weak_alone no_max weak_observe weak_fence late_target no_guard \
    no_notify_all no_notify_one late_look no_tasks no_baton no_dirty weak_turn_begin weak_turn_end \
    weak_turn_look no_trim_lock no_line_up nap_is_look; do
    build "$fault"
    found=0
    echo "$fault:"
    for model in $("$dir/loom-model" --list | sed -n '/::/d; s/: test$//p'); do
        if ! "$dir/loom-model" --exact "$model" >"$log" 2>&1; then
            # Only what a model says counts, not a crash of another kind.
            why=$(sed -n 's/^\(deadlock\).*/\1/p; s/^.*\(a torn read\)$/\1/p
                s/^.*\(a false durable\)$/\1/p; s/^.*\(durable, but not published\)$/\1/p
                s/^\(assertion .*\)$/\1/p' "$log" | head -n 1)
            echo "    ${why:-another failure}: $model"
            # One is enough.
            if [ -n "$why" ]; then
                found=1
                break
            fi
        fi
    done
    if [ "$found" = 0 ]; then
        echo "    NOT FOUND"
        status=1
    fi
done
exit "$status"
