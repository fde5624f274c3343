//! Faults that tests plant, to see that they find them.
//!
//! Each is a constant that is false in every build but one with `--cfg planted="its_name"`, so that
//! nothing of the branches on it is left. `sh tests/planted.sh` plants one after the other and runs
//! the power-loss simulator, and the tests of invariants that name the fault in their comments.
//! (Those of `sync.rs` are for the models of interleavings; `sh tests/loom_planted.sh`.)

/// Does it, unless the fault is to leave it out.
#[inline]
pub(crate) fn unless<T: Default, E>(
    left_out: bool,
    does: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    if left_out { Ok(T::default()) } else { does() }
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $cfg:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: bool = cfg!(planted = $cfg);)*
    };
}

// What is to be durable.
faults! {
    /// The files of a log are not synced.
    SEGMENT_SYNC = "segment_sync";
    /// The name of a new segment is not synced.
    SEGMENT_NAME_SYNC = "segment_name_sync";
    /// The name of a stream's directory is not synced.
    STREAM_NAME_SYNC = "stream_name_sync";
    /// The bytes of a new segment are not synced before it gets its name.
    NEW_SEGMENT_SYNC = "new_segment_sync";
    /// A failed sync of a log counts as a good one.
    SYNC_ERROR = "sync_error";
    /// Under `Always` entries are published before they are synced.
    EARLY_PUBLISH = "early_publish";
    /// Under `Always` changes of groups, deletions and trims do not wait for their records.
    LAZY_RECORDS = "lazy_records";
    /// Under `Always` changes of names do not wait for their records.
    LAZY_NAMES = "lazy_names";
    /// A durable append does not see to the record of its stream's creation.
    LAZY_CREATION = "lazy_creation";
    /// The journal is synced without the logs, and groups are not taken back.
    JOURNAL_FIRST = "journal_first";
    /// A closed log was not synced.
    CLOSE_SYNC = "close_sync";
    /// Segments go before the start behind them is durable.
    EARLY_UNLINK = "early_unlink";
    /// A sealed segment does not wait for the one behind it.
    EARLY_FOOTER = "early_footer";
}

// What the bytes say.
faults! {
    /// The checksum of a header leaves the ID out.
    CRC_WITHOUT_ID = "crc_without_id";
    /// Checksums are the same at every offset.
    CRC_WITHOUT_OFFSET = "crc_without_offset";
    /// Bodies are not checked.
    BODY_UNCHECKED = "body_unchecked";
    /// Batches without an end count.
    COMMIT_IGNORED = "commit_ignored";
    /// Every frame of a batch ends it.
    COMMIT_ALWAYS = "commit_always";
    /// Frames that fail their checks tell how far the log is durable.
    DURABLE_FROM_BAD_FRAME = "durable_from_bad_frame";
}

// What recovery makes of the segments.
faults! {
    /// A log goes on behind a torn tail.
    NONZERO_TAIL = "nonzero_tail";
    /// What is missing at the end of a segment does not end the log.
    HOLE = "hole";
    /// Segments that were cut off do not keep the log from going on in front of them.
    LATER_ASIDE = "later_aside";
    /// A chain without its beginning is the stream.
    HANGING_CHAIN = "hanging_chain";
    /// A segment follows any that has a lower number.
    ANY_CHAIN = "any_chain";
    /// The next segment gets the number of one that was set aside.
    NUMBER_REUSED = "number_reused";
    /// What the page cache has is believed to be dirty.
    NOT_STORED_AGAIN = "not_stored_again";
    /// What was recovered is not synced.
    RECOVERY_SYNC = "recovery_sync";
    /// Trims of appends are forgotten at the next open.
    FRAME_TRIMS = "frame_trims";
    /// A trim that a footer or a frame tells does not raise the IDs to come.
    FLOOR_WITHOUT_TRIMS = "floor_without_trims";
    /// Deliveries do not raise the IDs to come.
    FLOOR_WITHOUT_DELIVERIES = "floor_without_deliveries";
    /// Groups are taken back without waiting until that is durable.
    LAZY_TAKING_BACK = "lazy_taking_back";
    /// Pending entries beyond the end of the log stay pending.
    PENDING_BEYOND = "pending_beyond";
    /// Directories of removed streams go before the record of the removal is written again.
    EARLY_REMOVAL = "early_removal";
}

// What is in the journal.
faults! {
    /// Acknowledgements are not recorded.
    ACK_SKIPPED = "ack_skipped";
    /// Claims are not recorded.
    CLAIM_SKIPPED = "claim_skipped";
    /// Deliveries that pass over the trim of an append do not tell it.
    TRIM_UNTOLD = "trim_untold";
    /// A checkpoint forgets deletions.
    DELETIONS_DROPPED = "deletions_dropped";
    /// A checkpoint goes over the last state but one before the last one is durable.
    CHECKPOINT_SYNC = "checkpoint_sync";
    /// The checkpoint at the open is not synced.
    START_SYNC = "start_sync";
    /// The oldest file is the state.
    OLDEST_TURN = "oldest_turn";
    /// Records behind a hole count.
    JOURNAL_HOLE = "journal_hole";
}
