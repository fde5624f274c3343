//! What the simulator asks of the store under test, and what it sees of it.
//!
//! The store under test is a [`Subject`]: the crate itself, or the toy that proves the simulator.
//! Calls are plain values with everything resolved (names, IDs), so that a history of them can be
//! printed and judged without the store.

use super::disk::SimDisk;
use super::plan::Config;
use super::sent::Sent;
use crate::id::EntryId;
use crate::options::{Deletion, NackMode, RefPolicy};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The name of a stream, a group or a consumer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub Vec<u8>);

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl Deref for Name {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Name {
    fn from(bytes: &[u8]) -> Name {
        Name(bytes.to_vec())
    }
}

/// The fields of an entry: all pairs, each string with its length in front.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(pub Arc<Vec<u8>>);

impl Content {
    pub fn of<'a>(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Content {
        let mut flat = Vec::new();
        for (name, value) in fields {
            for part in [name, value] {
                flat.extend_from_slice(&u32::try_from(part.len()).unwrap().to_le_bytes());
                flat.extend_from_slice(part);
            }
        }
        Content(Arc::new(flat))
    }

    pub fn fields(&self) -> Vec<(&[u8], &[u8])> {
        let mut rest = self.0.as_slice();
        let mut next = || {
            let (len, behind) = rest.split_first_chunk::<4>()?;
            let (part, behind) = behind.split_at(u32::from_le_bytes(*len) as usize);
            rest = behind;
            Some(part)
        };
        let mut fields = Vec::new();
        while let (Some(name), Some(value)) = (next(), next()) {
            fields.push((name, value));
        }
        fields
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.fields();
        let serial = fields.first().map_or(&b"?"[..], |(_, value)| value);
        write!(f, "#{} ({} bytes)", serial.escape_ascii(), self.0.len())
    }
}

/// Which ID an append asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantId {
    Auto,
    AutoSeq(u64),
    Exact(EntryId),
}

impl WantId {
    /// The ID that an entry gets above `top`. It may not be above it, and is refused then.
    pub fn given(self, top: EntryId, now_ms: u64) -> EntryId {
        let behind = |ms: u64| match (ms > top.ms, top.seq.checked_add(1)) {
            (true, _) => EntryId::new(ms, 0),
            (false, Some(seq)) => EntryId::new(top.ms, seq),
            (false, None) => EntryId::new(top.ms.saturating_add(1), 0),
        };
        match self {
            WantId::Auto => behind(now_ms),
            WantId::AutoSeq(ms) if ms == top.ms => EntryId::new(ms, top.seq.saturating_add(1)),
            WantId::AutoSeq(ms) => EntryId::new(ms, 0),
            WantId::Exact(id) => id,
        }
    }
}

/// What a trim leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Newest(u64),
    From(EntryId),
}

/// The trim that goes with an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimming {
    pub keep: Keep,
    pub approximate: bool,
}

/// The options of a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClaimHow {
    pub just_ids: bool,
    pub force: bool,
    pub min_idle_ms: u64,
    pub retry_count: Option<u64>,
    pub last_id: Option<EntryId>,
    /// The entries count as delivered this long ago.
    pub idle_ms: Option<u64>,
}

/// How a stream lays out what is appended from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub segment_bytes: u64,
    pub block_entries: u32,
    pub block_bytes: u32,
}

/// What a stream keeps by itself: the newest so many entries, those from an ID on or not older than
/// an age, so many bytes of segments, and what a group has not done with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    pub most: Option<u64>,
    pub from: Option<EntryId>,
    pub age_ms: Option<u64>,
    pub bytes: Option<u64>,
    pub unacked: bool,
}

impl Keeping {
    pub fn has_limit(&self) -> bool {
        let times = self.age_ms.is_some() || self.bytes.is_some();
        self.most.is_some() || self.from.is_some() || times
    }

    /// Whether an entry is below what an ID or an age lets live.
    pub fn is_past(&self, id: EntryId, now_ms: u64) -> bool {
        let old = self.age_ms.is_some_and(|age| id.ms < now_ms.saturating_sub(age));
        old || self.from.is_some_and(|from| id < from)
    }
}

/// A stream and one of its groups.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    pub stream: Name,
    pub group: Name,
}

/// One call. Those below `Sync` are of the store as a whole.
#[derive(Clone, Debug)]
pub enum Call {
    CreateStream(Name),
    RemoveStream(Name),
    Rename {
        from: Name,
        to: Name,
    },
    /// Gives each stream that has one of the first names the second one, all in one change.
    RenameAll(Vec<(Name, Name)>),
    /// `replace`: a stream that has the name already makes way.
    Copy {
        from: Name,
        to: Name,
        replace: bool,
    },
    SetOptions {
        stream: Name,
        layout: Layout,
    },
    Append {
        stream: Name,
        content: Content,
        id: WantId,
        durable: bool,
        trim: Option<Trimming>,
        /// Producer and iid.
        key: Option<(Name, Name)>,
    },
    Batch {
        stream: Name,
        entries: Vec<(WantId, Content)>,
        durable: bool,
    },
    Delete {
        stream: Name,
        ids: Vec<EntryId>,
    },
    Trim {
        stream: Name,
        keep: Keep,
        approximate: bool,
    },
    SetRetention {
        stream: Name,
        keeping: Keeping,
    },
    /// Removes at once what is beyond the retention.
    Enforce(Name),
    /// How many iids of each producer are remembered.
    SetWindow {
        stream: Name,
        most: u32,
    },
    /// Attaches an iid to an entry.
    Record {
        stream: Name,
        key: (Name, Name),
        id: EntryId,
    },
    /// XSETID to a lower ID. `forget`: with a lower max-deleted ID in a call before it.
    SetBack {
        stream: Name,
        to: EntryId,
        forget: bool,
    },
    /// XSETID to a higher ID, with the number of entries that were added.
    SetUp {
        stream: Name,
        to: EntryId,
        added: Option<u64>,
    },
    /// `None` starts at the end.
    CreateGroup {
        key: GroupKey,
        start: Option<EntryId>,
        entries_read: Option<u64>,
    },
    RemoveGroup(GroupKey),
    SetGroup {
        key: GroupKey,
        to: EntryId,
    },
    CreateConsumer {
        key: GroupKey,
        consumer: Name,
    },
    RemoveConsumer {
        key: GroupKey,
        consumer: Name,
    },
    Read {
        key: GroupKey,
        consumer: Name,
        count: usize,
        no_ack: bool,
    },
    /// One call for several groups, each of another stream.
    ReadMany {
        keys: Vec<GroupKey>,
        consumer: Name,
        count: usize,
    },
    History {
        key: GroupKey,
        consumer: Name,
        after: EntryId,
        count: usize,
    },
    Ack {
        key: GroupKey,
        ids: Vec<EntryId>,
    },
    Claim {
        key: GroupKey,
        consumer: Name,
        ids: Vec<EntryId>,
        how: ClaimHow,
    },
    AutoClaim {
        key: GroupKey,
        consumer: Name,
        from: EntryId,
        min_idle_ms: u64,
        count: usize,
        just_ids: bool,
    },
    /// Deletes by policy; `keys` are all groups of the stream.
    DeleteWith {
        stream: Name,
        ids: Vec<EntryId>,
        policy: RefPolicy,
        keys: Vec<GroupKey>,
    },
    TrimWith {
        stream: Name,
        keep: Keep,
        approximate: bool,
        policy: RefPolicy,
        keys: Vec<GroupKey>,
    },
    AckDelete {
        key: GroupKey,
        ids: Vec<EntryId>,
        policy: RefPolicy,
        keys: Vec<GroupKey>,
    },
    Nack {
        key: GroupKey,
        ids: Vec<EntryId>,
        mode: NackMode,
        force: bool,
    },
    /// A read that claims what was idle for so long.
    ReadClaim {
        key: GroupKey,
        consumer: Name,
        count: usize,
        min_idle_ms: u64,
    },
    SyncStream(Name),
    WaitDurable {
        stream: Name,
        id: EntryId,
    },
    Sync,
    /// Finds the streams of these names, then makes a call that may give them others or take them
    /// away, then makes durable what was found.
    SyncFound {
        streams: Vec<Name>,
        between: Option<Box<Call>>,
    },
    /// A call, and what another thread does while the first sync of a segment in it runs.
    Meanwhile {
        call: Box<Call>,
        other: Box<Other>,
    },
    /// One pass of each background thread.
    StepSync,
    StepPrepare,
    StepCheckpoint,
}

/// What another thread does while a sync runs.
#[derive(Clone, Debug)]
pub enum Other {
    Append {
        stream: Name,
        content: Content,
    },
    /// Reads all that is to be seen.
    Look {
        stream: Name,
    },
}

impl Call {
    /// The groups whose state the call may change.
    pub fn groups(&self) -> &[GroupKey] {
        match self {
            Call::ReadMany { keys, .. }
            | Call::DeleteWith { keys, .. }
            | Call::TrimWith { keys, .. }
            | Call::AckDelete { keys, .. } => keys,
            _ => self.group().map_or(&[], std::slice::from_ref),
        }
    }

    /// The group that the call is about, if it is one.
    pub fn group(&self) -> Option<&GroupKey> {
        match self {
            Call::CreateGroup { key, .. }
            | Call::RemoveGroup(key)
            | Call::SetGroup { key, .. }
            | Call::CreateConsumer { key, .. }
            | Call::RemoveConsumer { key, .. }
            | Call::Read { key, .. }
            | Call::History { key, .. }
            | Call::Ack { key, .. }
            | Call::Claim { key, .. }
            | Call::AutoClaim { key, .. }
            | Call::Nack { key, .. }
            | Call::ReadClaim { key, .. } => Some(key),
            _ => None,
        }
    }
}

/// Entries as they were handed out.
pub type Entries = Vec<(EntryId, Content)>;

#[derive(Clone, Debug)]
pub enum Answer {
    Done,
    Flag(bool),
    Count(u64),
    Id(EntryId),
    /// Nothing was appended: that had been done under this ID.
    Duplicate(EntryId),
    Ids(Vec<EntryId>),
    Entries(Entries),
    /// Of an append that trimmed: its ID, and the length of the stream behind it.
    Trimmed(EntryId, u64),
    /// How many entries each stream has.
    Lengths(Vec<(Name, u64)>),
    /// The stream that a copy made.
    Copied(Box<StreamView>),
    /// Of a call and of what was done meanwhile (or before), if it came to that.
    Both(Box<Result<Answer, Fail>>, Option<Box<Result<Answer, Fail>>>),
    /// What became of each ID.
    Told(Vec<Deletion>),
    /// What a read has claimed, and what was new.
    Claimed(Entries, Entries),
    /// What each group gave; those that had nothing are left out.
    Many(Vec<(GroupKey, Entries)>),
}

/// Why a call did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fail {
    /// No space; nothing was changed.
    Full,
    /// A wrong call; nothing was changed.
    Refused(String),
    /// What the call was to write may be there or not.
    Unsure(String),
    /// Anything else: always a finding.
    Wrong(String),
}

/// A pending record: the entry, its consumer, how often it was delivered.
pub type PendingView = (EntryId, Name, u64);

/// All that can be seen of a group, without times.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct GroupView {
    pub cursor: EntryId,
    pub entries_read: Option<u64>,
    pub consumers: BTreeSet<Name>,
    /// By ID; an ID may not be there twice.
    pub pending: Vec<PendingView>,
    /// What belongs to nobody, in the order in which it came back.
    pub given_back: Vec<EntryId>,
}

impl GroupView {
    /// It was given the entry, and has it not pending.
    pub fn has_done_with(&self, id: EntryId) -> bool {
        id <= self.cursor && self.pending.iter().all(|(pending, ..)| *pending != id)
    }
}

/// All that can be seen of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct StreamView {
    pub entries: Entries,
    pub length: u64,
    pub last_id: EntryId,
    pub max_deleted: EntryId,
    pub entries_added: u64,
    pub keeping: Keeping,
    pub sent: Sent,
    pub groups: BTreeMap<Name, GroupView>,
}

impl StreamView {
    /// Time goes by, and takes what its retention lets it.
    pub fn let_age(&mut self, now_ms: u64) {
        let Keeping { age_ms, unacked, .. } = self.keeping;
        let aging = Keeping { age_ms, ..Keeping::default() };
        let goes = |id: EntryId| {
            let free = !unacked || self.groups.values().all(|group| group.has_done_with(id));
            aging.is_past(id, now_ms) && free
        };
        let left = self.entries.iter().position(|(id, _)| !goes(*id));
        self.entries.drain(..left.unwrap_or(self.entries.len()));
        self.length = self.entries.len() as u64;
    }
}

/// All that can be seen of a store.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct View {
    pub streams: BTreeMap<Name, StreamView>,
}

/// What a store says that it did when it was opened.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Report {
    /// It tells of groups that it took back.
    pub tells_of_groups: bool,
    /// Stream, group, the cursor before and after.
    pub taken_back: Vec<(Name, Name, EntryId, EntryId)>,
}

/// A store under test.
pub trait Subject: Sized {
    /// Whether it takes all calls, or only those that every store takes.
    const TAKES_ALL: bool;
    /// Whether a file of this name holds entries; the statistics tell by it which cuts lie between
    /// two segments.
    fn holds_entries(file: &OsStr) -> bool;
    fn open(disk: &SimDisk, config: &Config) -> Result<Self, Fail>;
    fn call(&mut self, call: &Call) -> Result<Answer, Fail>;
    /// What one group looks like; `None` if there is no such group.
    fn group(&mut self, key: &GroupKey) -> Result<Option<GroupView>, Fail>;
    fn view(&mut self) -> Result<View, Fail>;
    /// What it reports of its opening. Wrong if there is something on disk, or a thing that was done
    /// to it, which is not in the report.
    fn report(&mut self, disk: &SimDisk) -> Result<Report, String>;
    /// An orderly end: `Ok` means that everything is on disk.
    fn close(self) -> Result<(), Fail>;
}
