//! The eleven numbered invariants of the crate's design, and the eighteen promises of its contract,
//! each with tests named after it.
//!
//! `cargo test --test invariants`; arguments are parts of names, as with the usual harness. Most
//! tests need a disk that fails, waits or forgets where they say, so the crate's own sources are
//! compiled in as modules and the seam stays private.
//!
//! A comment at each test names the change of the code that makes it fail; the test was seen to
//! fail with it.
#![allow(dead_code, unused_imports, unreachable_pub)]
#![allow(unsafe_code)] // A global allocator cannot be written without.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

include!("ground/source.rs");

#[path = "byte_sweep/alloc.rs"]
mod alloc;
#[path = "invariants/back.rs"]
mod back;
#[path = "invariants/contract.rs"]
mod contract;
#[path = "invariants/disk.rs"]
mod disk;
#[path = "invariants/ground.rs"]
mod ground;
#[path = "invariants/ids.rs"]
mod ids;
#[path = "invariants/locks.rs"]
mod locks;
#[path = "invariants/names.rs"]
mod names;
#[path = "invariants/order.rs"]
mod order;
#[path = "invariants/poison.rs"]
mod poison;
#[path = "invariants/retention.rs"]
mod retention;
#[path = "invariants/space.rs"]
mod space;
#[path = "invariants/tickets.rs"]
mod tickets;

use contract::{bounds, damaged, levels, pending, removed};
use std::panic::catch_unwind;
use std::process::ExitCode;

#[global_allocator]
static COUNTING: alloc::Counting = alloc::Counting;

/// A test and its name.
type Test = (&'static str, fn());

/// The tests of a module, each under its own name.
macro_rules! tests {
    ($($module:ident: $($test:ident)*;)*) => {
        &[$($((stringify!($test), $module::$test as fn())),*),*]
    };
}

const TESTS: &[Test] = tests! {
    levels:
        contract_c01_a_killed_process_loses_no_entry_at_any_level
        contract_c01_a_power_cut_takes_no_entry_that_was_to_be_durable
        contract_c01_a_power_cut_takes_no_more_than_the_level_allows
        contract_c01_an_interval_syncs_by_itself
        contract_c02_after_any_crash_the_log_is_a_prefix
        contract_c03_what_an_opening_gave_stays
        contract_c03_what_an_opening_cut_stays_away
        contract_c04_after_any_crash_a_batch_is_whole_or_not_there
        contract_c04_readers_see_a_batch_whole_or_not_at_all
        contract_c04_a_batch_lies_in_one_segment
        contract_c05_under_always_nobody_sees_what_is_not_durable
        contract_c05_elsewhere_it_can_be_asked_what_is_durable;
    removed:
        contract_c06_ids_only_grow_whatever_the_clock_does
        contract_c06_the_id_of_a_lost_entry_is_not_given_again
        contract_c07_under_always_what_was_removed_never_returns
        contract_c07_elsewhere_what_was_removed_before_a_sync_never_returns
        contract_c07_an_approximate_trim_removes_no_more_than_an_exact_one;
    pending:
        contract_c08_what_a_group_has_behind_it_is_pending_or_acknowledged
        contract_c09_a_group_names_only_what_its_stream_knows
        contract_c09_a_position_that_a_caller_set_is_kept
        contract_c10_a_crash_may_repeat_a_delivery_and_never_skips_one
        contract_c10_what_comes_after_a_crash_is_delivered
        contract_c11_under_always_an_acknowledgement_is_durable
        contract_c11_a_read_without_acknowledgement_is_delivered_once
        contract_c12_entries_are_synced_before_the_records_of_groups;
    damaged:
        contract_c13_an_opening_tells_what_it_found_and_did
        contract_c13_an_opening_tells_what_hangs_together_no_more
        contract_c14_damage_is_refused_with_its_place
        contract_c14_damage_can_be_skipped_and_is_told_of
        contract_c14_a_damaged_journal_file_is_kept
        contract_c14_a_damaged_journal_file_is_kept_whatever_fails
        contract_c14_a_damaged_journal_file_is_kept_while_the_store_is_open
        contract_c14_salvage_gives_what_can_be_proved
        contract_c15_a_failed_sync_stops_the_stream_and_is_told_by_its_first_cause
        contract_c15_a_full_disk_and_a_lack_of_descriptors_leave_no_trace;
    bounds:
        contract_c16_appends_of_many_threads_have_one_order
        contract_c16_what_a_reader_holds_stays_valid
        contract_c16_nobody_waits_for_a_reader_or_reads_behind_a_sync
        contract_c17_a_second_writer_is_refused_at_once
        contract_c17_reading_only_writes_nothing
        contract_c18_no_bytes_on_disk_cost_more_than_their_size
        contract_c18_no_argument_is_too_much;
    ids:
        invariant_01_ids_increase_over_deletions_and_trims_of_lost_entries
        invariant_01_ids_increase_over_deliveries_of_lost_entries
        invariant_01_positions_that_a_caller_set_are_no_ids
        invariant_01_ids_increase_though_the_clock_goes_back
        invariant_01_a_stream_that_is_made_anew_begins_anew
        invariant_02_under_always_published_follows_durable
        invariant_02_elsewhere_published_follows_written
        invariant_02_published_follows_durable_from_when_that_is_asked_for
        invariant_02_a_sync_covers_what_was_written_before_it_began
        invariant_02_published_bytes_never_change
        invariant_02_under_always_a_trim_shows_with_the_entry_that_brought_it
        invariant_06_a_footer_tells_no_trim_ahead_of_its_record
        invariant_06_a_trim_is_not_written_down_before_the_entry_that_brought_it
        invariant_06_segments_go_by_a_trim_whose_entry_comes_before_its_record;
    back:
        invariant_01_a_lowered_last_id_and_what_came_after_it_last
        invariant_01_a_trim_outlasts_the_frame_that_says_it_when_the_log_is_restarted
        invariant_01_a_restart_without_its_record_has_not_taken_place
        invariant_01_a_restart_is_on_disk_before_its_record
        invariant_01_what_changes_while_a_restart_is_made_is_not_forgotten
        invariant_02_a_log_that_rests_while_it_is_restarted_syncs_what_comes
        invariant_02_under_always_nobody_reads_behind_a_restart_that_may_be_undone
        invariant_03_on_a_full_disk_the_last_id_stays
        invariant_04_a_restart_that_is_missing_is_damage
        invariant_04_a_restart_whose_record_is_lost_hides_nothing
        invariant_04_a_segment_in_front_of_a_restart_is_sealed_with_its_record
        invariant_07_what_is_durable_behind_a_restart_has_its_record
        invariant_08_what_a_restart_left_behind_is_unlinked_once_it_is_durable
        invariant_08_a_trim_of_before_a_restart_takes_nothing_of_after
        invariant_10_no_lock_is_held_while_a_restart_is_synced
        invariant_11_a_restart_throws_away_the_segment_that_was_prepared;
    space:
        invariant_03_on_a_full_disk_an_append_changes_nothing
        invariant_03_who_finds_no_room_leaves_it_to_who_makes_some
        invariant_03_with_a_full_journal_acks_trims_and_reads_still_work
        invariant_03_acks_that_tear_runs_apart_still_fit_into_a_checkpoint
        invariant_03_with_a_full_journal_what_grows_the_state_changes_nothing
        invariant_04_nothing_behind_a_torn_tail_comes_back
        invariant_04_a_segment_with_nothing_behind_its_frames_is_continued
        invariant_04_damage_is_refused_or_skipped_and_never_cut
        invariant_04_an_id_that_changed_is_damage
        invariant_04_a_torn_frame_says_nothing_of_what_was_durable;
    names:
        invariant_03_a_journal_of_which_one_file_grew_opens_on_a_full_disk
        invariant_03_a_stream_for_whose_record_there_is_no_room_is_not_there
        invariant_07_names_are_durable_after_the_interval
        invariant_07_a_copy_is_whole_or_not_there
        invariant_07_a_copy_that_failed_leaves_nothing
        invariant_07_a_copy_that_is_used_at_once_is_whole_or_not_there
        invariant_07_nothing_is_recorded_of_a_stream_behind_its_removal;
    poison:
        invariant_05_a_failed_sync_of_a_segment_stops_that_stream_alone
        invariant_05_the_first_cause_is_kept
        invariant_05_the_first_cause_is_kept_though_a_sync_was_under_way
        invariant_05_whoever_waits_for_a_stopped_stream_is_woken
        invariant_05_nobody_waits_for_several_streams_of_which_one_is_stopped
        invariant_05_a_failed_sync_of_the_journal_stops_the_store
        invariant_05_a_failed_sync_of_a_checkpoint_stops_the_store
        invariant_05_what_a_stopped_store_had_not_opened_yet_is_read
        invariant_05_a_failed_sync_of_the_streams_directory_stops_the_store
        invariant_05_a_failed_sync_of_a_new_segment_stops_that_stream_alone
        invariant_05_a_failed_sync_of_the_background_stops_that_stream_alone
        invariant_05_a_panic_in_the_background_stops_the_store
        invariant_05_a_lost_file_system_stops_the_store
        invariant_05_only_what_may_have_been_written_is_indeterminate
        invariant_05_when_one_sync_for_all_fails_the_guilty_file_is_found
        invariant_05_when_one_sync_for_all_fails_and_no_file_is_guilty_the_store_stops
        invariant_05_one_sync_for_all_publishes_nothing_of_a_stopped_stream;
    order:
        invariant_06_segments_are_synced_before_the_journal
        invariant_06_the_journals_point_is_taken_before_the_segments_are_synced
        invariant_06_a_group_never_points_past_the_log
        invariant_07_what_returned_survives_the_process_at_every_level
        invariant_07_under_always_what_returned_survives_a_power_cut
        invariant_07_the_level_is_the_streams_own
        invariant_07_deliveries_and_claims_wait_for_no_sync
        invariant_08_the_new_start_is_durable_before_a_segment_is_unlinked
        invariant_08_a_trim_that_comes_during_the_sync_unlinks_nothing_yet
        invariant_08_without_a_durable_start_no_segment_is_unlinked
        invariant_08_readers_pin_what_they_read
        invariant_08_exact_trims_move_the_first_entry_and_space_returns_by_segments
        invariant_08_what_an_append_trimmed_stays_so_when_its_segment_is_sealed_later
        invariant_08_the_trims_of_appends_that_share_a_sync_all_take_effect
        invariant_08_segments_without_a_live_entry_go_when_their_deletions_are_durable
        invariant_09_a_delivery_is_one_event
        invariant_09_dropping_a_delivery_acknowledges_nothing;
    retention:
        invariant_08_keep_unacked_beats_every_other_limit
        invariant_08_acks_that_a_drop_rests_on_are_synced_first
        invariant_08_verifying_removes_no_entry
        invariant_08_retention_removes_what_a_naive_count_removes
        invariant_08_retention_ends_however_fast_others_append;
    locks:
        invariant_10_no_lock_is_held_over_a_sync
        invariant_10_no_lock_is_held_over_the_callers_code
        invariant_10_the_order_of_the_locks_is_written_down
        invariant_11_a_roll_waits_for_no_sync
        invariant_11_the_next_segment_is_complete_named_and_synced_before_it_is_needed
        invariant_11_an_entry_is_durable_only_when_all_earlier_segments_are
        invariant_11_recovery_cuts_at_the_first_bad_frame_and_sets_later_segments_aside;
    tickets:
        contract_c05_a_waker_is_called_when_its_entry_is_on_disk_and_once
        invariant_05_a_failed_sync_fails_every_ticket
        invariant_05_a_removed_stream_settles_its_tickets
        contract_c01_what_is_on_its_way_to_disk_is_bounded
        contract_c01_an_awaited_entry_outlives_a_power_cut_from_the_first_one_on;
};

fn main() -> ExitCode {
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let mut failed = 0;
    for (name, test) in TESTS {
        if !filters.is_empty() && !filters.iter().any(|part| name.contains(part)) {
            continue;
        }
        let passed = catch_unwind(test).is_ok();
        failed += usize::from(!passed);
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
    }
    println!("{failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
