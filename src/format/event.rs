//! Events: the steps by which a stream's state changes, and their bytes.
//!
//! The state journal is a sequence of these; a checkpoint is a sequence of these too, the shortest
//! one that rebuilds the state. Events name entries by ID and groups and consumers by a number
//! that is given at creation and never used again within the stream.

use crate::few::Few;
use crate::id::EntryId;
use crate::options::Retention;
use std::sync::Arc;

/// The number of a group within its stream.
pub(crate) type GroupNumber = u32;
/// The number of a consumer within its group.
pub(crate) type ConsumerNumber = u32;

/// No event names more IDs than this. It bounds what a few damaged bytes can make a reader
/// allocate; a longer list takes several events.
pub(crate) const MAX_IDS: usize = 1 << 20;

/// In the place of a segment's number: another one than is known, if the segments say so.
pub(crate) const ANY_RESTART: u64 = u64::MAX;

/// A pending record with everything in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PendingRecord {
    pub(crate) id: EntryId,
    /// `None`: given back to the group (nacked).
    pub(crate) owner: Option<ConsumerNumber>,
    /// Milliseconds since 1970 of the last delivery. When nobody owns it: its turn among these.
    pub(crate) time_ms: u64,
    /// How often it was delivered.
    pub(crate) count: u64,
}

/// How long in seconds, and how many, iids of a producer are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) seconds: u32,
    pub(crate) most: u32,
}

impl Default for Window {
    fn default() -> Window {
        Window { seconds: 100, most: 100 }
    }
}

/// An iid, its entry, and the position behind the entry's frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IidPair {
    pub(crate) iid: Arc<[u8]>,
    pub(crate) id: EntryId,
    pub(crate) position: u64,
}

/// Up to which position all frames are told of, how many iids there were by then, and how many
/// duplicates were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PairsEnd {
    pub(crate) covered: u64,
    pub(crate) added: u64,
    pub(crate) duplicates: u64,
}

/// What one producer has appended, in that order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProducerPairs {
    pub(crate) producer: Box<[u8]>,
    pub(crate) pairs: Vec<IidPair>,
}

/// One change of one stream's state. Applying it cannot fail on a state that it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    // Of the stream as a whole.
    /// The stream comes into being under this name. `options` in the form of `encode_options`.
    StreamCreated {
        name: Box<[u8]>,
        options: StoredOptions,
    },
    /// The stream is no more.
    StreamRemoved,
    /// The stream has another name from now on; whoever had that name is removed by an event of
    /// its own in the same record.
    StreamRenamed {
        name: Box<[u8]>,
    },
    /// New options for later appends.
    OptionsSet {
        options: StoredOptions,
    },
    /// Single entries are gone. Ascending.
    Deleted {
        ids: Vec<EntryId>,
    },
    /// Entries up to and including this ID are gone.
    Trimmed {
        to: EntryId,
    },
    /// Single entries are gone by a trim that left others in front of them. Ascending.
    TrimmedOut {
        ids: Vec<EntryId>,
    },
    /// Counters as they stand (in checkpoints) or were set (XSETID).
    Counters(Counters),
    /// The stream's frames were durable up to this position when this was written (in checkpoints,
    /// and when the store is closed). A log that ends before it has lost frames.
    Durable {
        position: u64,
    },
    /// The last ID was lowered to `to` (XSETID): IDs above it are given again, so what was trimmed
    /// or deleted above it is forgotten. `restart`: the segment with which the log was restarted
    /// last, 0 if it never was, [`ANY_RESTART`] if a lost record may have said that. The first one
    /// that names a segment has the ID to which that set the log back; so do checkpoints.
    SetBack {
        to: EntryId,
        restart: u64,
    },
    /// When whoever serves the stream is to remove it, in milliseconds since 1970; `None`: never.
    ExpirySet {
        at_ms: Option<u64>,
    },
    // Of idempotent producers. Positions are those of the stream's frames, of which the ones up to
    // `covered` are told in full by this event and those before it.
    /// The window as it is from now on (XCFGSET, in checkpoints, and when a stream comes to be used
    /// so); another one than before clears what was remembered.
    IdempotencySet {
        window: Window,
        covered: u64,
        /// How many iids were ever remembered, and how many duplicates refused.
        added: u64,
        duplicates: u64,
    },
    /// What producers have appended, in order for each. Those that lie at or below what was covered
    /// before are known. `end`: what is covered from now on, and the counters as of there; `None`
    /// where more follow.
    IdempotencyPairs {
        end: Option<PairsEnd>,
        producers: Vec<ProducerPairs>,
    },
    /// An iid that was attached to an entry which was there (XIDMPRECORD).
    IdempotencyRecorded {
        producer: Box<[u8]>,
        iid: Box<[u8]>,
        id: EntryId,
    },
    // Of one group.
    /// `pinned`: recovery lowers the cursor no further than this; see `group/recover.rs`.
    GroupCreated {
        group: GroupNumber,
        name: Box<[u8]>,
        last_id: EntryId,
        entries_read: Option<u64>,
        pinned: EntryId,
    },
    GroupRemoved {
        group: GroupNumber,
    },
    /// The cursor was set (XGROUP SETID, LASTID of XCLAIM).
    GroupSet {
        group: GroupNumber,
        last_id: EntryId,
        entries_read: Option<u64>,
        pinned: EntryId,
    },
    ConsumerCreated {
        group: GroupNumber,
        consumer: ConsumerNumber,
        name: Box<[u8]>,
        seen_ms: u64,
        /// `None`: never obtained an entry.
        active_ms: Option<u64>,
    },
    /// The consumer and the records that it owns are gone.
    ConsumerRemoved {
        group: GroupNumber,
        consumer: ConsumerNumber,
    },
    /// New entries were given to a consumer: the cursor moves to the last of them, and each gets a
    /// record of count 1 (unless `no_ack`). Ascending, not empty.
    Delivered {
        group: GroupNumber,
        consumer: ConsumerNumber,
        time_ms: u64,
        no_ack: bool,
        /// The group's counter after the last of them.
        entries_read: Option<u64>,
        ids: Ids,
    },
    /// A consumer looked at its own records again: each count grows by one and its time is set.
    Redelivered {
        group: GroupNumber,
        consumer: ConsumerNumber,
        time_ms: u64,
        ids: Vec<EntryId>,
    },
    /// Records as they are after a claim, or in a checkpoint. Those of other consumers move.
    /// `active_ms`: the owner's active time, if it changes.
    PendingSet {
        group: GroupNumber,
        records: Vec<PendingRecord>,
        active_ms: Option<u64>,
    },
    /// Records are gone: acknowledged, or found to have no entry any more.
    PendingRemoved {
        group: GroupNumber,
        ids: Ids,
    },
    /// A consumer tried something at this time. Never journaled on its own.
    Seen {
        group: GroupNumber,
        consumer: ConsumerNumber,
        time_ms: u64,
    },
    /// What outlives the groups (in checkpoints, and when XSETID lowers `delivered`): the number of
    /// the next group, the highest ID ever delivered, and the highest one of before that.
    GroupCounters {
        next_group: GroupNumber,
        delivered: EntryId,
        before: EntryId,
    },
    /// What outlives the consumers of a group (in checkpoints): the number of the next one.
    ConsumerCounter {
        group: GroupNumber,
        next_consumer: ConsumerNumber,
    },
}

/// The IDs that an event names: nearly always one or some hundreds.
pub(crate) type Ids = Few<EntryId>;

/// Events one after the other, made when they are asked for.
pub(crate) type Events = Box<dyn Iterator<Item = Event>>;

/// What an ID of a run takes at most once the run has lost every third one, in bytes.
const OF_ID: u64 = 2;
/// What a record takes at most that parts from a span of equal ones, the rest of the span included.
const OF_RECORD: u64 = 24;

impl Event {
    /// How many bytes a checkpoint may take for this record's effects beyond what the event itself
    /// takes, once events that only take away have torn its runs of IDs apart.
    pub(crate) fn spare(&self) -> u64 {
        match self {
            Event::Delivered { no_ack: false, ids, .. } => OF_ID * ids.len() as u64,
            Event::Redelivered { ids, .. } => OF_RECORD * ids.len() as u64,
            Event::PendingSet { records, .. } => OF_RECORD * records.len() as u64,
            _ => 0,
        }
    }

    /// The same for an event of a checkpoint, where every span is counted already.
    pub(crate) fn spare_in_checkpoint(&self) -> u64 {
        match self {
            Event::PendingSet { records, .. } => OF_ID * records.len() as u64,
            _ => 0,
        }
    }
}

/// The options of a stream that are stored with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredOptions {
    pub(crate) segment_bytes: u64,
    pub(crate) max_entry_bytes: u64,
    pub(crate) block_entries: u32,
    pub(crate) block_bytes: u32,
    pub(crate) retention: Retention,
}

/// What is not in the frames of a stream's segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Counters {
    /// No ID at or below this one is given again.
    pub(crate) floor: EntryId,
    /// The highest ID ever deleted (not trimmed); 0-0 if none.
    pub(crate) max_deleted: EntryId,
    /// Added to the number of entries in the frames to give `entries_added`, wrapping.
    pub(crate) added_offset: u64,
}

mod codec;
mod single;
pub(crate) use single::Single;

#[cfg(test)]
mod tests;
