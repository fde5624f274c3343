#!/bin/sh
# Plants each fault of src/sync.rs and checks that a loom model finds it, after checking that the
# models hold without one. Run from the root of the crate; the table is in tests/loom.rs. Arguments
# are the faults to plant; without any, all of them.
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

# Each fault, and the model that is known to find it and to take little time for it.
faults="
    weak_publish who_sees_a_position_sees_everything_below_it
    weak_alone who_sees_a_position_of_one_writer_sees_everything_below_it
    no_max a_sync_of_all_files_takes_no_position_back
    weak_observe who_sees_a_position_sees_everything_below_it
    weak_fence a_blocked_reader_misses_no_close
    late_target a_sync_of_all_files_takes_no_position_back
    no_guard a_failed_sync_ends_every_wait
    no_notify_all a_close_that_syncs_first_costs_no_append_its_answer
    no_notify_one a_blocked_reader_misses_no_close
    late_look a_close_that_syncs_first_costs_no_append_its_answer
    no_tasks a_failed_sync_and_poison_from_outside_end_the_wait_of_a_task
    no_baton a_blocked_reader_misses_no_close
    no_dirty a_blocked_reader_misses_no_close
    weak_turn_begin who_looks_at_a_log_sees_its_end_of_one_moment
    weak_turn_end who_looks_at_a_log_sees_its_end_of_one_moment
    weak_turn_look who_looks_at_a_log_sees_its_end_of_one_moment
    no_trim_lock who_looks_at_a_log_sees_what_is_trimmed_at_the_same_moment
    no_line_up a_plain_reader_misses_no_publish
    nap_is_look a_reader_that_naps_misses_no_publish"

# The known model first, and the others only where it finds nothing: some take half a minute.
look_for() {
    echo "$1:"
    others=$("$dir/loom-model" --list | sed -n '/::/d; s/: test$//p' | grep -vx "$2")
    for model in $2 $others; do
        if ! "$dir/loom-model" --exact "$model" >"$log" 2>&1; then
            # Only what a model says counts, not a crash of another kind.
            why=$(sed -n 's/^\(deadlock\).*/\1/p; s/^.*\(a torn read\)$/\1/p
                s/^.*\(a false durable\)$/\1/p; s/^.*\(durable, but not published\)$/\1/p
                s/^\(assertion .*\)$/\1/p' "$log" | head -n 1)
            echo "    ${why:-another failure}: $model"
            # One is enough.
            [ -z "$why" ] || return 0
        fi
    done
    echo "    NOT FOUND"
    return 1
}

status=0
count=0
while read -r fault model; do
    case " ${*:-$fault} " in
        *" $fault "*) ;;
        *) continue ;;
    esac
    count=$((count + 1))
    build "$fault"
    look_for "$fault" "$model" || status=1
done <<END
$(echo "$faults" | sed '/^$/d; s/^ *//')
END
# A name that is none is no fault that was found.
[ $# = 0 ] || [ "$count" = $# ] || status=1
echo "$count faults"
exit "$status"
