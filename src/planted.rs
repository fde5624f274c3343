//! Faults that tests plant, to see that they find them.
//!
//! Each is false in every build but one with `--cfg planted="by_name"`, so that nothing of the
//! branches on it is left; in such a build the one that `STREAMLOG_PLANTED` names is true.
//! `sh tests/planted.sh` plants one after the other and runs the power-loss simulator, and the
//! tests of invariants that name the fault in their comments.
//! (Those of `sync.rs` are for the models of interleavings; `sh tests/loom_planted.sh`.)

/// Does it, unless the fault is to leave it out.
#[inline]
pub(crate) fn unless<T: Default, E>(
    left_out: bool,
    does: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    if left_out { Ok(T::default()) } else { does() }
}

#[cfg(planted = "by_name")]
fn is_planted(name: &str) -> bool {
    static PLANTED: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PLANTED.get_or_init(|| std::env::var("STREAMLOG_PLANTED").unwrap_or_default()) == name
}

#[cfg(not(planted = "by_name"))]
#[inline(always)]
const fn is_planted(_: &str) -> bool {
    false
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* #[inline] pub(crate) fn $name() -> bool {
            is_planted(stringify!($name))
        })*
    };
}

// What is to be durable.
faults! {
    /// The files of a log are not synced.
    segment_sync;
    /// The name of a new segment is not synced.
    segment_name_sync;
    /// The name of a stream's directory is not synced.
    stream_name_sync;
    /// The bytes of a new segment are not synced before it gets its name.
    new_segment_sync;
    /// A failed sync of a log counts as a good one.
    sync_error;
    /// Under `Always` entries are published before they are synced.
    early_publish;
    /// Under `Always` changes of groups, deletions and trims do not wait for their records.
    lazy_records;
    /// Under `Always` changes of names do not wait for their records.
    lazy_names;
    /// A durable append does not see to the record of its stream's creation.
    lazy_creation;
    /// The journal is synced without the logs, and groups are not taken back.
    journal_first;
    /// Streams that were found before their sync are passed over by it.
    found_unsynced;
    /// A closed log was not synced.
    close_sync;
    /// Segments go before the start behind them is durable.
    early_unlink;
    /// A sealed segment does not wait for the one behind it.
    early_footer;
    /// Blocks are made ready from the one on in which frames end.
    early_zeros;
}

// What clients are told. The test of sent replies looks for it.
faults! {
    /// A reply goes out before the sync that it waits for.
    #[cfg(feature = "resp")]
    early_reply;
    /// A reply to a look at a stream does not wait for what was changed there.
    #[cfg(feature = "resp")]
    early_look;
    /// Changes of groups do not hold their replies back.
    #[cfg(feature = "resp")]
    early_books;
}

// What the bytes say.
faults! {
    /// Checksums are the same at every offset.
    crc_without_offset;
    /// Bodies are not checked.
    body_unchecked;
    /// Batches without an end count.
    commit_ignored;
    /// Every frame of a batch ends it.
    commit_always;
    /// The checksum of a header leaves the ID out.
    crc_without_id;
    /// Frames that fail their checks tell how far the log is durable.
    durable_from_bad_frame;
}

// What only other damage shows than a loss of power. The tests of invariants look for it.
faults! {
    /// A journal file that holds damage is written over.
    damage_written_over;
}

// What recovery makes of the segments.
faults! {
    /// A log goes on behind a torn tail.
    nonzero_tail;
    /// What is missing at the end of a segment does not end the log.
    hole;
    /// Segments that were cut off do not keep the log from going on in front of them.
    later_aside;
    /// A chain without its beginning is the stream.
    hanging_chain;
    /// A segment follows any that has a lower number.
    any_chain;
    /// The next segment gets the number of one that was set aside.
    number_reused;
    /// What the page cache has is believed to be dirty.
    not_stored_again;
    /// What was recovered is not synced.
    recovery_sync;
    /// Trims of appends are forgotten at the next open.
    frame_trims;
    /// A trim that a footer or a frame tells does not raise the IDs to come.
    floor_without_trims;
    /// Deliveries do not raise the IDs to come.
    floor_without_deliveries;
    /// Groups are taken back without waiting until that is durable.
    lazy_taking_back;
    /// XSETID records an ID to which the log on disk does not reach yet.
    lazy_set_id;
    /// Pending entries beyond the end of the log stay pending.
    pending_beyond;
    /// Directories of removed streams go before the record of the removal is written again.
    early_removal;
}

// What retention takes away.
faults! {
    /// Trims that come alone are not recorded.
    trim_unrecorded;
    /// Entries go that a group has not done with.
    unacked_ignored;
    /// The trim of an append is in its frame, also if it rests on acknowledgements.
    unacked_in_frame;
    /// What is beyond the retention stays when a stream is opened.
    late_retention;
    /// A retention is there only until the store is closed.
    retention_forgotten;
}

// What is remembered of producers.
faults! {
    /// What frames say of producers is not looked at when a stream is opened.
    keys_unread;
    /// The journal tells of producers whose entries may not be on disk.
    pairs_early;
    /// Segments go that alone say what producers have appended.
    pairs_untold;
}

// What is in the journal.
faults! {
    /// Acknowledgements are not recorded.
    ack_skipped;
    /// Claims are not recorded.
    claim_skipped;
    /// What goes by DELREF stays pending.
    references_left;
    /// Each event of a call is a record of its own.
    events_apart;
    /// Each stream of a change of many names has a record of its own.
    renames_apart;
    /// Deliveries that pass over the trim of an append do not tell it.
    trim_untold;
    /// A checkpoint forgets in which order entries were given back.
    turns_forgotten;
    /// A checkpoint forgets deletions.
    deletions_dropped;
    /// A checkpoint goes over the last state but one before the last one is durable.
    checkpoint_sync;
    /// The checkpoint at the open is not synced.
    start_sync;
    /// The oldest file is the state.
    oldest_turn;
    /// Records behind a hole count.
    journal_hole;
    /// Journal files that a cut has left at different lengths stay so.
    unequal_journals;
    /// The header of a journal file is not gone before the rest of it goes.
    header_emptied_late;
}
