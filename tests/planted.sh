#!/bin/sh
# Plants each fault of src/planted.rs, one at a time, and checks that the power-loss simulator finds
# it (those of the server, the test of sent replies): prints which promise it saw broken and after
# how many states. Where tests of invariants or of
# the contract name the fault in their comments (as "Planted `it`"), it checks that these fail with
# it, too.
# Run from the root of the crate. Arguments are the faults to plant; without any, all of them.
#
# The flag goes to the test alone (`cargo rustc`), as that includes the sources which it changes.
set -eu

export RUST_BACKTRACE=0 STREAMLOG_SIM_REPORT=0
export STREAMLOG_SIM_STATES="${STREAMLOG_SIM_STATES:-1000000}"
dir="${CARGO_TARGET_DIR:-target}"
mkdir -p "$dir"
log="$dir/planted.log"

# Makes $dir/planted-$1, the test program of this name with the faults $2.
build() {
    cargo rustc --quiet --profile planted --features resp --test "$1" --message-format json -- \
        --cfg "planted=\"$2\"" 2>/dev/null |
        sed -n "s/.*\"executable\":\"\([^\"]*$1-[^\"]*\)\".*/\1/p" >"$log"
    cp "$(cat "$log")" "$dir/planted-$1"
}

# The tests of invariants and of the contract whose comments name the fault $1.
invariants() {
    awk -v fault="\`$1\`" '
        /Planted `/ { named = index($0, fault) }
        /fn (invariant|contract)_/ { if (named) { sub(/.*fn /, ""); sub(/\(.*/, ""); print }; named = 0 }
    ' tests/invariants/*.rs tests/invariants/contract/*.rs
}

# The fault $1 if no loss of power shows it.
only_damage() {
    sed -n '/^\/\/ What only other damage shows/,/^}/p' src/planted.rs | grep "^ *$1;$" || true
}

# The fault $1 if it is the server's: the test of sent replies has to find it.
only_server() {
    sed -n '/^\/\/ What clients are told/,/^}/p' src/planted.rs | grep "^ *$1;$" || true
}

# Makes the programs that the faults $2 and so on need, with what the compiler is told: $1.
build_for() {
    told="$1"
    shift
    build power_loss "$told"
    for fault in "$@"; do
        if [ -n "$(invariants "$fault")" ]; then
            build invariants "$told"
            break
        fi
    done
    for fault in "$@"; do
        if [ -n "$(only_server "$fault")" ]; then
            build sent_replies "$told"
            break
        fi
    done
}

status=0
count=0

# Sees whether the program $2, with the arguments behind it, finds the fault $1.
has_to_find() {
    fault="$1" program="$2"
    shift 2
    found=
    if "$dir/planted-$program" "$@" >"$log" 2>&1; then
        echo "$fault: NOT FOUND"
    else
        found=$(sed -n 's/^ *found: //p' "$log")
        echo "$fault: ${found:-$program FAILED OTHERWISE}"
    fi
    [ -n "$found" ] || status=1
}

# Looks for the fault $1, which is in the programs.
look_for() {
    count=$((count + 1))
    export STREAMLOG_PLANTED="$1"
    if [ -n "$(only_damage "$1")" ]; then
        echo "$1: for the invariants"
        [ -n "$(invariants "$1")" ] || status=1
    elif [ -n "$(only_server "$1")" ]; then
        has_to_find "$1" sent_replies
    else
        has_to_find "$1" power_loss the_store_keeps_its_promises
    fi
    for test in $(invariants "$1"); do
        if "$dir/planted-invariants" "$test" >"$log" 2>&1; then
            echo "    DOES NOT FAIL: $test"
            status=1
        else
            echo "    fails: $test"
        fi
    done
}

names=$(sed -n 's/^ *\([a-z_]*\);$/\1/p' src/planted.rs)
build_for by_name ${*:-$names}
for fault in ${*:-$names}; do
    case " $(echo $names) " in
        *" $fault "*) look_for "$fault" ;;
        *) echo "$fault: NO SUCH FAULT" && status=1 ;;
    esac
done
if [ $# = 0 ]; then
    # Planted for the models of interleavings, and to be seen without them.
    build_for late_target late_target
    look_for late_target
fi
echo "$count faults"
exit "$status"
