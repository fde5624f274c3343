//! What callers choose of reading, with and without a group.

use crate::id::EntryId;
use std::time::Duration;

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// `0`: with the oldest entry.
    First,
    /// `$`: with what is appended from now on.
    Last,
    /// After this ID.
    After(EntryId),
}

impl From<EntryId> for Start {
    fn from(id: EntryId) -> Start {
        Start::After(id)
    }
}

/// How long a read waits when there is nothing yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Block {
    #[default]
    No,
    For(Duration),
    Forever,
}

/// Options of reading without a group (XREAD).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    pub(crate) count: Option<usize>,
    pub(crate) bytes: Option<usize>,
    pub(crate) block: Block,
}

impl ReadOptions {
    /// Everything there is, without waiting.
    #[must_use]
    pub fn new() -> ReadOptions {
        ReadOptions::default()
    }

    /// At most this many entries of each stream; 0 is no limit, as in Redis.
    #[must_use]
    pub fn count(mut self, entries: usize) -> ReadOptions {
        self.count = (entries > 0).then_some(entries);
        self
    }

    /// Stops once this many bytes of fields were read over all streams; the first entry is always
    /// returned, however large it is. 0 is no limit.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> ReadOptions {
        self.bytes = (bytes > 0).then_some(bytes);
        self
    }

    /// Waits up to this long for an entry. Zero does not wait.
    #[must_use]
    pub fn block(mut self, longest: Duration) -> ReadOptions {
        self.block = if longest.is_zero() { Block::No } else { Block::For(longest) };
        self
    }

    /// Waits for an entry without an end (Redis's `BLOCK 0`).
    #[must_use]
    pub fn block_forever(mut self) -> ReadOptions {
        self.block = Block::Forever;
        self
    }
}

/// Options of reading new entries as a consumer of a group (XREADGROUP).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupReadOptions {
    pub(crate) read: ReadOptions,
    pub(crate) no_ack: bool,
}

impl GroupReadOptions {
    /// Everything new, without waiting, pending until acknowledged.
    #[must_use]
    pub fn new() -> GroupReadOptions {
        GroupReadOptions::default()
    }

    /// At most this many entries of each stream; 0 is no limit, as in Redis.
    #[must_use]
    pub fn count(mut self, entries: usize) -> GroupReadOptions {
        self.read = self.read.count(entries);
        self
    }

    /// Stops once this many bytes of fields were read; see [`ReadOptions::bytes`].
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> GroupReadOptions {
        self.read = self.read.bytes(bytes);
        self
    }

    /// Waits up to this long for an entry. Zero does not wait.
    #[must_use]
    pub fn block(mut self, longest: Duration) -> GroupReadOptions {
        self.read = self.read.block(longest);
        self
    }

    /// Waits for an entry without an end (Redis's `BLOCK 0`).
    #[must_use]
    pub fn block_forever(mut self) -> GroupReadOptions {
        self.read = self.read.block_forever();
        self
    }

    /// `NOACK`: what is delivered counts as acknowledged at once.
    #[must_use]
    pub fn no_ack(mut self) -> GroupReadOptions {
        self.no_ack = true;
        self
    }
}

/// What a consumer asks for in a read over several streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// `>`: entries never delivered to the group.
    New,
    /// The consumer's own pending entries after this ID.
    History(EntryId),
}
