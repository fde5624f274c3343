//! The sparse index: where blocks begin, and places within them that readers have found.
//!
//! Blocks are known from the writer, a scan or a footer. What lies within one only its frames tell,
//! so whoever walks a block to an entry leaves *marks* behind for those who come later: where some
//! of its frames begin.
//!
//! Invariants:
//! * A mark is the beginning of an Entry frame that a walk came to from the block's start, over
//!   headers that passed their checks, each frame with one entry. Frames never change, so it stays
//!   one, and all who mark a block mark the same.
//! * Marks are hints like the index itself: what is handed out is verified where it lies.

use super::Body;
use super::starts::Starts;
use crate::format::footer::BlockStart;
use crate::id::EntryId;
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The blocks of a segment.
#[derive(Debug, Default)]
pub(super) struct Index {
    blocks: RwLock<Blocks>,
}

#[derive(Debug, Default)]
struct Blocks {
    starts: Starts,
    /// Of as many blocks as anybody was about to mark, so that nothing is held for the segments in
    /// which nobody seeks.
    marks: Vec<AtomicU64>,
}

impl From<Vec<BlockStart>> for Index {
    fn from(starts: Vec<BlockStart>) -> Index {
        Index { blocks: RwLock::new(Blocks { starts: starts.into(), marks: Vec::new() }) }
    }
}

/// Marks of a block at most; its entries are parted into one more.
const MARKS: u32 = 8;
/// What a distance is counted in, in bytes.
const UNIT: u64 = crate::format::frame::ALIGN;

/// The marks of one block: for each a byte, how far it lies behind the one before (the first one
/// behind the block's start); 0 from the first one on that is not known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    word: u64,
    /// They lie this many entries apart.
    pub(crate) step: u32,
    known: u32,
    /// Where the last one that is known lies in the segment.
    last: u64,
}

impl Marks {
    fn new(word: u64, start: u64, entries: u32) -> Marks {
        let known = (u64::BITS - word.leading_zeros()).div_ceil(8);
        let marks = Marks { word, step: entries.div_ceil(MARKS + 1).max(1), known, last: start };
        Marks { last: marks.offset(start, known), ..marks }
    }

    /// Where the `number`th of them lies, from 1; 0 is the block's start.
    pub(crate) fn offset(&self, start: u64, number: u32) -> u64 {
        let bytes = self.word.to_le_bytes().into_iter().take(number as usize);
        start + bytes.map(|byte| u64::from(byte) * UNIT).sum::<u64>()
    }

    pub(crate) fn known(&self) -> u32 {
        self.known
    }

    /// Takes in that the block's entry with this number begins at an offset.
    #[inline]
    pub(crate) fn pass(&mut self, entry: u32, offset: u64) {
        if entry == (self.known + 1).saturating_mul(self.step) && self.known < MARKS {
            self.add(offset);
        }
    }

    fn add(&mut self, offset: u64) {
        // Where frames are longer than that there are few of them to pass.
        if let Ok(byte @ 1..) = u8::try_from(offset.saturating_sub(self.last) / UNIT) {
            self.word |= u64::from(byte) << (8 * self.known);
            self.known += 1;
            self.last = offset;
        }
    }
}

/// The block in which an ID would be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought {
    pub(crate) block: BlockStart,
    number: usize,
    /// None of a block that may still get entries.
    pub(crate) marks: Option<Marks>,
    /// The number of the mark in front of the ID, if IDs rise evenly in the block.
    pub(crate) guess: u32,
}

/// Which part of the block's IDs lies in front of `id`, in entries.
fn entries_before(id: EntryId, first: EntryId, next: EntryId, entries: u32) -> u32 {
    let (part, whole) = match next.ms.saturating_sub(first.ms) {
        0 => (id.seq.saturating_sub(first.seq), next.seq.saturating_sub(first.seq)),
        whole => (id.ms.saturating_sub(first.ms), whole),
    };
    (part as f64 * f64::from(entries) / whole.max(1) as f64) as u32
}

impl Body {
    pub(crate) fn push_block(&self, block: BlockStart) {
        self.index.blocks.write().starts.push(block);
    }

    /// Holds no more memory than it needs now.
    pub(crate) fn shrink(&self) {
        let mut blocks = self.index.blocks.write();
        blocks.starts.shrink();
        blocks.marks.shrink_to_fit();
    }

    /// The last block whose first ID is not above `id` and that begins below `limit`; the first
    /// frame if there is none.
    pub(crate) fn seek(&self, id: EntryId, limit: u64) -> BlockStart {
        self.seek_near(id, limit).block
    }

    /// The same, with what is known of the block's inside.
    pub(crate) fn seek_near(&self, id: EntryId, limit: u64) -> Sought {
        let Blocks { starts: index, marks } = &*self.index.blocks.read();
        let after = index.partition_point(|b| b.id <= id && u64::from(b.offset) < limit);
        let Some((number, block)) = after.checked_sub(1).and_then(|n| Some((n, index.get(n)?)))
        else {
            return Sought { block: self.first_block(), number: 0, marks: None, guess: 0 };
        };
        let Some(next) = index.get(after).filter(|next| u64::from(next.offset) < limit) else {
            return Sought { block, number, marks: None, guess: 0 };
        };
        let entries = next.ordinal.saturating_sub(block.ordinal);
        let word = marks.get(number).map_or(0, |marks| marks.load(Ordering::Relaxed));
        let marks = Marks::new(word, u64::from(block.offset), entries);
        let guess = entries_before(id, block.id, next.id, entries) / marks.step;
        Sought { block, number, marks: Some(marks), guess: guess.min(marks.known) }
    }

    /// Leaves marks for those who seek in the block later.
    pub(crate) fn mark(&self, sought: &Sought, marks: Marks) {
        // Others may have come further meanwhile; what they know is the same and more.
        if let Some(known) = self.index.blocks.read().marks.get(sought.number) {
            known.fetch_or(marks.word, Ordering::Relaxed);
            return;
        }
        let Blocks { starts, marks: all } = &mut *self.index.blocks.write();
        all.resize_with(starts.len().max(all.len()), AtomicU64::default);
        if let Some(known) = all.get_mut(sought.number) {
            *known.get_mut() |= marks.word;
        }
    }

    fn first_block(&self) -> BlockStart {
        BlockStart { id: EntryId::MIN, offset: self.first_offset as u32, ordinal: 0 }
    }

    /// The block that begins at or behind `offset`, and the one behind it, below `limit`.
    pub(crate) fn block_after(&self, offset: u64, limit: u64) -> Option<BlockStart> {
        let index = &self.index.blocks.read().starts;
        let n = index.partition_point(|b| u64::from(b.offset) <= offset);
        index.get(n).filter(|b| u64::from(b.offset) < limit)
    }

    /// The last block that begins below `limit`.
    pub(crate) fn block_before(&self, limit: u64) -> Option<BlockStart> {
        let index = &self.index.blocks.read().starts;
        let n = index.partition_point(|b| u64::from(b.offset) < limit);
        n.checked_sub(1).and_then(|n| index.get(n))
    }

    /// The block that holds the entry with this number.
    pub(crate) fn block_of(&self, ordinal: u32) -> BlockStart {
        let index = &self.index.blocks.read().starts;
        let n = index.partition_point(|b| b.ordinal <= ordinal);
        n.checked_sub(1).and_then(|n| index.get(n)).unwrap_or(self.first_block())
    }

    /// How many blocks have an entry that is neither deleted nor numbered below `from`.
    pub(crate) fn live_blocks(&self, from: u32) -> u64 {
        let index = &self.index.blocks.read().starts;
        let entries = u32::try_from(self.entries()).unwrap_or(u32::MAX);
        let mut live = 0;
        for (n, block) in index.iter().enumerate() {
            let end = index.get(n + 1).map_or(entries, |next| next.ordinal.min(entries));
            let first = block.ordinal.max(from);
            if first < end && self.deleted_between(first, end) < u64::from(end - first) {
                live += 1;
            }
        }
        live
    }

    /// The index without blocks of a batch that was taken back.
    pub(crate) fn index_copy(&self) -> Vec<BlockStart> {
        let end = self.end();
        let index = &self.index.blocks.read().starts;
        index.iter().filter(|b| u64::from(b.offset) < end).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::{AppendOptions, EntryId, Result, Snapshot, Store, Stream};

    /// A number that nobody expects, from 0 to 999.
    fn chance(n: u64) -> u64 {
        ((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % 1000
    }

    /// Entries of all sizes, and IDs with gaps, of which some are deleted.
    fn uneven(stream: &Stream, entries: u64) {
        let (mut ms, mut seq) = (1, 0);
        let mut gone = Vec::new();
        for n in 0..entries {
            match chance(n) % 10 {
                0 => (ms, seq) = (ms + 1 + chance(n) % 7, 0),
                1 => seq += 1 + chance(n),
                _ => seq += 1,
            }
            let id = EntryId::new(ms, seq);
            let value = vec![b'x'; (chance(n + entries) % 200) as usize];
            stream.append_with([("data", value)], AppendOptions::new().id(id)).unwrap();
            if chance(n) % 7 == 3 {
                gone.push(id);
            }
        }
        assert_eq!(stream.delete(gone.iter().copied()).unwrap(), gone.len() as u64);
    }

    fn marks(snapshot: &Snapshot) -> u32 {
        let mut known = 0;
        for segment in snapshot.span.segments.iter() {
            for block in segment.index_copy() {
                known += segment.seek_near(block.id, u64::MAX).marks.map_or(0, |m| m.known());
            }
        }
        known
    }

    fn first_two(snapshot: &Snapshot, from: EntryId) -> Vec<EntryId> {
        let found: Result<Vec<_>> = snapshot.range(from..).take(2).collect();
        found.unwrap().iter().map(|entry| entry.id()).collect()
    }

    /// Fails if a mark leads to another entry, if the walk from it counts wrongly and so takes
    /// entries for deleted ones, or if no marks are left behind.
    #[test]
    fn who_seeks_where_others_were_finds_what_a_scan_finds() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let stream = store.stream("entries").unwrap();
        uneven(&stream, 3_000);
        let snapshot = stream.snapshot().unwrap();
        let ids: Vec<EntryId> = snapshot.range(..).map(|entry| entry.unwrap().id()).collect();
        for times in 0..3u64 {
            for n in 0..ids.len() {
                let n = (n * 1_361 + times as usize) % ids.len();
                let expected = &ids[n..ids.len().min(n + 2)];
                assert_eq!(first_two(&snapshot, ids[n]), expected);
                // The ID in front of it may be an entry that is deleted, or none at all.
                let before = n.checked_sub(1).map_or(EntryId::MIN, |n| ids[n]);
                assert_eq!(first_two(&snapshot, before.next().unwrap()), expected);
            }
        }
        let blocks: usize = snapshot.span.segments.iter().map(|s| s.index_copy().len()).sum();
        assert!(marks(&snapshot) as usize > 4 * blocks, "{} of {blocks}", marks(&snapshot));
    }
}
