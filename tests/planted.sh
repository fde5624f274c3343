#!/bin/sh
# Plants each fault of src/planted.rs, one at a time, and checks that the power-loss simulator finds
# it: prints which promise it saw broken and after how many states. Where tests of invariants name
# the fault in their comments (as "Planted `it`"), it checks that these fail with it, too.
# Run from the root of the crate. Arguments are the faults to plant; without any, all of them.
#
# The flag goes to the test alone (`cargo rustc`), as that includes the sources which it changes.
set -eu

export RUST_BACKTRACE=0 STREAMLOG_SIM_REPORT=0
export STREAMLOG_SIM_STATES="${STREAMLOG_SIM_STATES:-1000000}"
dir="${CARGO_TARGET_DIR:-target}"
log="$dir/planted.log"

# Makes $dir/planted-$1, the test program of this name with the fault $2.
build() {
    cargo rustc --quiet --profile planted --test "$1" --message-format json -- \
        --cfg "planted=\"$2\"" 2>/dev/null |
        sed -n "s/.*\"executable\":\"\([^\"]*$1-[^\"]*\)\".*/\1/p" >"$log"
    cp "$(cat "$log")" "$dir/planted-$1"
}

# The tests of invariants whose comments name the fault $1.
invariants() {
    awk -v fault="\`$1\`" '
        /Planted `/ { named = index($0, fault) }
        /fn invariant_/ { if (named) { sub(/.*fn /, ""); sub(/\(.*/, ""); print }; named = 0 }
    ' tests/invariants/*.rs
}

faults="$*"
if [ -z "$faults" ]; then
    faults=$(sed -n 's/^ *[A-Z_]* = "\([a-z_]*\)";$/\1/p' src/planted.rs)
    # Planted for the models of interleavings, and to be seen without them.
    faults="late_target $faults"
fi
status=0
count=0
for fault in $faults; do
    count=$((count + 1))
    build power_loss "$fault"
    if "$dir/planted-power_loss" the_store_keeps_its_promises >"$log" 2>&1; then
        echo "$fault: NOT FOUND"
        status=1
    else
        found=$(sed -n 's/^ *found: //p' "$log")
        echo "$fault: ${found:-THE SIMULATOR FAILED}"
        [ -n "$found" ] || status=1
    fi
    tests=$(invariants "$fault")
    [ -n "$tests" ] && build invariants "$fault"
    for test in $tests; do
        code=0
        # Some wait for what then never comes.
        timeout 60 "$dir/planted-invariants" "$test" >"$log" 2>&1 || code=$?
        case $code in
        0)
            echo "    DOES NOT FAIL: $test"
            status=1
            ;;
        124) echo "    hangs: $test" ;;
        *) echo "    fails: $test" ;;
        esac
    done
done
echo "$count faults"
exit "$status"
