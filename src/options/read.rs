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
    /// `+`: with the last entry. A read gives that one alone, whatever its limits; where there is
    /// none and it waits, the one that is the last when it wakes.
    LastEntry,
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

/// How a reply is written whose bytes [`ReadOptions::max_size_in`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyFormat {
    pub(crate) resp3: bool,
    pub(crate) name_prefix: usize,
}

impl ReplyFormat {
    /// In Redis's protocol, version 2.
    #[must_use]
    pub fn resp2() -> ReplyFormat {
        ReplyFormat { resp3: false, name_prefix: 0 }
    }

    /// In version 3.
    #[must_use]
    pub fn resp3() -> ReplyFormat {
        ReplyFormat { resp3: true, name_prefix: 0 }
    }

    /// The reply leaves so many bytes off at the beginning of each stream's name.
    #[must_use]
    pub fn name_prefix(mut self, bytes: usize) -> ReplyFormat {
        self.name_prefix = bytes;
        self
    }
}

/// Options of reading without a group (XREAD).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    pub(crate) count: Option<usize>,
    pub(crate) most: Option<usize>,
    pub(crate) bytes: Option<usize>,
    /// What bytes are counted; `None`: those of fields.
    pub(crate) format: Option<ReplyFormat>,
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
        self.format = None;
        self
    }

    /// `MAXCOUNT`: at most this many entries over all streams; those behind are left out then. 0 is
    /// no limit.
    #[must_use]
    pub fn max_count(mut self, entries: usize) -> ReadOptions {
        self.most = (entries > 0).then_some(entries);
        self
    }

    /// `MAXSIZE`: as [`ReadOptions::bytes`], but what is counted are the bytes that Redis's reply
    /// would have by then, names and lengths included (in RESP2). 0 is no limit.
    #[must_use]
    pub fn max_size(self, bytes: usize) -> ReadOptions {
        self.max_size_in(bytes, ReplyFormat::resp2())
    }

    /// The same for another kind of reply.
    #[must_use]
    pub fn max_size_in(mut self, bytes: usize, format: ReplyFormat) -> ReadOptions {
        self.bytes = (bytes > 0).then_some(bytes);
        self.format = Some(format);
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
    pub(crate) claim: Option<Duration>,
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

    /// `MAXCOUNT`: at most this many entries over all streams, whether new, claimed or of a
    /// history. 0 is no limit.
    #[must_use]
    pub fn max_count(mut self, entries: usize) -> GroupReadOptions {
        self.read = self.read.max_count(entries);
        self
    }

    /// `MAXSIZE`; see [`ReadOptions::max_size`]. What is held back is not delivered.
    #[must_use]
    pub fn max_size(mut self, bytes: usize) -> GroupReadOptions {
        self.read = self.read.max_size(bytes);
        self
    }

    /// The same for another kind of reply.
    #[must_use]
    pub fn max_size_in(mut self, bytes: usize, format: ReplyFormat) -> GroupReadOptions {
        self.read = self.read.max_size_in(bytes, format);
        self
    }

    /// `CLAIM`: takes over what has been pending in the group for at least `min_idle`, for whomever
    /// and for this consumer too, ahead of new entries; the count is of both together. What was
    /// given back ([`Group::nack`](crate::Group::nack)) comes first, in the order in which it came
    /// back, then the rest by when it was delivered. Entries that are gone are passed over and stay
    /// pending.
    ///
    /// [`Delivery::claims`](crate::Delivery::claims) tells them from new ones. A read that waits
    /// wakes when something has become idle enough, too. A history is not affected, nor are
    /// streams that come behind one in the same call. A group that a call names several times is
    /// given what was claimed once.
    #[must_use]
    pub fn claim(mut self, min_idle: Duration) -> GroupReadOptions {
        self.claim = Some(min_idle);
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
