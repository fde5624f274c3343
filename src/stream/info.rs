//! What is told of a stream: XINFO STREAM.

use super::*;
use crate::group::{GroupDetails, LogFacts};

/// What XINFO STREAM tells, and what a disk-based stream has besides.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamInfo {
    /// How many entries live.
    pub length: u64,
    /// How many blocks hold one (Redis's `radix-tree-keys`).
    pub blocks: u64,
    /// The last ID that was given or set (`last-generated-id`): the next one lies above it.
    pub last_id: EntryId,
    /// The highest ID ever deleted; 0-0 if none.
    pub max_deleted_id: EntryId,
    /// How many entries were ever appended.
    pub entries_added: u64,
    /// The lowest ID that lives (`recorded-first-entry-id`); 0-0 if none does.
    pub first_id: EntryId,
    /// What is remembered of idempotent producers.
    pub idempotency: IdempotencyInfo,
    /// The number of groups.
    pub groups: usize,
    /// The first entry that lives.
    pub first: Option<Entry>,
    /// The last one.
    pub last: Option<Entry>,
    /// The number of segments.
    pub segments: usize,
    /// The bytes of their frames.
    pub bytes: u64,
}

/// What XINFO STREAM FULL tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamDetails {
    /// What XINFO STREAM tells.
    pub info: StreamInfo,
    /// The first entries.
    pub entries: Vec<Entry>,
    /// All groups, by name, with their consumers and pending entries.
    pub groups: Vec<GroupDetails>,
}

/// What a stream's entries are told by, from one moment to another: something of it differs after
/// each change of them. Groups have no part in it.
#[cfg(feature = "resp")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    number: u64,
    length: u64,
    last_id: EntryId,
    max_deleted_id: EntryId,
    entries_added: u64,
}

impl Stream {
    /// See [`Stamp`]. O(1).
    #[cfg(feature = "resp")]
    pub(crate) fn stamp(&self) -> Result<Stamp> {
        let locked = self.inner.lock(self.shared())?;
        let facts = locked.state.facts(locked.tail, None);
        Ok(Stamp {
            number: self.inner.number,
            length: facts.length,
            last_id: facts.last_id,
            max_deleted_id: facts.max_deleted_id,
            entries_added: facts.entries_added,
        })
    }

    /// What there is to know of the stream (XINFO STREAM). Costs a walk over the index.
    ///
    /// # Errors
    /// `Corrupt`, `NoStream`, `Closed`.
    #[doc(alias = "XINFO STREAM")]
    pub fn info(&self) -> Result<StreamInfo> {
        let mut locked = self.inner.lock(self.shared())?;
        let facts = locked.facts()?;
        let (_, info) = self.told(locked, &facts)?;
        Ok(info)
    }

    /// The same with the first `count` entries, all groups, all of their consumers, and the first
    /// `count` pending entries of each group and of each consumer (XINFO STREAM FULL). Redis shows
    /// 10 unless told otherwise; `usize::MAX` is all. Costs what it gives, besides the walk over
    /// the index; the stream's groups wait while their lists are copied.
    ///
    /// # Errors
    /// `Corrupt`, `NoStream`, `Closed`.
    #[doc(alias = "XINFO STREAM FULL")]
    pub fn info_full(&self, count: usize) -> Result<StreamDetails> {
        let (snapshot, mut details) = self.info_full_and_view(count)?;
        let entries = snapshot.range(..).take(count).map(|entry| Ok(entry?.to_entry()));
        details.entries = entries.collect::<Result<_>>()?;
        Ok(details)
    }

    /// The same without entries, which are in the view.
    pub(crate) fn info_full_and_view(&self, count: usize) -> Result<(Snapshot, StreamDetails)> {
        let mut locked = self.inner.lock(self.shared())?;
        let facts = locked.facts()?;
        let groups = locked.state.groups.details(&facts, count);
        let (snapshot, info) = self.told(locked, &facts)?;
        Ok((snapshot, StreamDetails { info, entries: Vec::new(), groups }))
    }

    /// Reads entries only once the lock is free.
    fn told(&self, mut locked: Locked<'_>, facts: &LogFacts) -> Result<(Snapshot, StreamInfo)> {
        let blocks = locked.state.live.as_ref().map_or(0, |live| live.blocks(&locked.span));
        let groups = locked.state.groups.len();
        let now_ms = self.shared().disk.now_ms();
        let idempotency = IdempotencyInfo::of(&mut locked.state, now_ms);
        let span = locked.span.clone();
        drop(locked);
        let snapshot = Snapshot { span };
        let owned = |found: Option<Result<EntryRef<'_>>>| {
            found.transpose().map(|e| e.map(|e| e.to_entry()))
        };
        let info = StreamInfo {
            length: facts.length,
            blocks,
            last_id: facts.last_id,
            max_deleted_id: facts.max_deleted_id,
            entries_added: facts.entries_added,
            first_id: facts.first_id,
            idempotency,
            groups,
            first: owned(snapshot.range(..).next())?,
            last: owned(snapshot.range(..).next_back())?,
            segments: snapshot.span.segments.len(),
            bytes: snapshot.span.segments.iter().map(|segment| segment.end()).sum(),
        };
        Ok((snapshot, info))
    }
}
