//! Where the blocks of a segment begin, in two thirds of the memory that their description takes.
//! It is what an open store holds most of, and nearly always the IDs of a segment lie near each
//! other.

use crate::format::footer::BlockStart;
use crate::id::EntryId;

/// The starts of blocks, in their order.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// The time of the first one.
    base_ms: u64,
    near: Vec<Near>,
    /// All of them, once there was one that is not near; then there are none in the other list.
    far: Vec<BlockStart>,
}

/// A start whose ID is not far behind that of the first one.
#[derive(Clone, Copy, Debug)]
struct Near {
    ms: u32,
    seq: u32,
    offset: u32,
    ordinal: u32,
}

impl Near {
    fn new(block: &BlockStart, base_ms: u64) -> Option<Near> {
        Some(Near {
            ms: u32::try_from(block.id.ms.checked_sub(base_ms)?).ok()?,
            seq: u32::try_from(block.id.seq).ok()?,
            offset: block.offset,
            ordinal: block.ordinal,
        })
    }

    #[inline]
    fn block(self, base_ms: u64) -> BlockStart {
        let Near { ms, seq, offset, ordinal } = self;
        BlockStart { id: EntryId::new(base_ms + u64::from(ms), seq.into()), offset, ordinal }
    }
}

impl From<Vec<BlockStart>> for Starts {
    fn from(blocks: Vec<BlockStart>) -> Starts {
        let base_ms = blocks.first().map_or(0, |block| block.id.ms);
        let mut near = Vec::with_capacity(blocks.len());
        near.extend(blocks.iter().map_while(|block| Near::new(block, base_ms)));
        if near.len() == blocks.len() {
            Starts { base_ms, near, far: Vec::new() }
        } else {
            Starts { base_ms, near: Vec::new(), far: blocks }
        }
    }
}

impl Starts {
    pub(super) fn len(&self) -> usize {
        self.near.len() + self.far.len()
    }

    #[inline]
    pub(super) fn get(&self, n: usize) -> Option<BlockStart> {
        match self.near.get(n) {
            Some(near) => Some(near.block(self.base_ms)),
            None => self.far.get(n).copied(),
        }
    }

    pub(super) fn push(&mut self, block: BlockStart) {
        if self.len() == 0 {
            self.base_ms = block.id.ms;
        }
        match Near::new(&block, self.base_ms).filter(|_| self.far.is_empty()) {
            Some(near) => self.near.push(near),
            None => {
                let base_ms = self.base_ms;
                let near = std::mem::take(&mut self.near);
                self.far.extend(near.into_iter().map(|near| near.block(base_ms)));
                self.far.push(block);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = BlockStart> + '_ {
        let near = self.near.iter().map(|near| near.block(self.base_ms));
        near.chain(self.far.iter().copied())
    }

    /// How many there are up to the first one that is not like this; none behind that is.
    #[inline]
    pub(super) fn partition_point(&self, is_like: impl Fn(&BlockStart) -> bool) -> usize {
        match self.far.is_empty() {
            true => self.near.partition_point(|near| is_like(&near.block(self.base_ms))),
            false => self.far.partition_point(is_like),
        }
    }

    /// Holds no more memory than it needs now.
    pub(super) fn shrink(&mut self) {
        self.near.shrink_to_fit();
        self.far.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Starts that rise in everything, some of them far from each other.
    fn blocks() -> impl Strategy<Value = Vec<BlockStart>> {
        let step = prop_oneof![9 => 0..50u64, 1 => Just(u64::from(u32::MAX)), 1 => Just(1 << 33)];
        prop::collection::vec((step.clone(), step, 1..9u32), 0..30).prop_map(|steps| {
            let mut last = BlockStart { id: EntryId::new(1 << 40, 0), offset: 0, ordinal: 0 };
            let next = |(ms, seq, more): (u64, u64, u32)| {
                let id = match ms {
                    0 => EntryId::new(last.id.ms, last.id.seq + seq + 1),
                    _ => EntryId::new(last.id.ms + ms, seq),
                };
                let (offset, ordinal) = (last.offset + 8 * more, last.ordinal + more);
                last = BlockStart { id, offset, ordinal };
                last
            };
            steps.into_iter().map(next).collect()
        })
    }

    proptest! {
        #[test]
        fn they_are_what_was_put_in(blocks in blocks(), at in 0..300u32) {
            let mut pushed = Starts::default();
            blocks.iter().for_each(|block| pushed.push(*block));
            let is_near = |block: &BlockStart| Near::new(block, blocks[0].id.ms).is_some();
            let all_near = blocks.iter().all(is_near);
            for mut starts in [pushed, Starts::from(blocks.clone())] {
                prop_assert_eq!(starts.far.is_empty(), all_near);
                starts.shrink();
                prop_assert_eq!(starts.len(), blocks.len());
                prop_assert_eq!(starts.iter().collect::<Vec<_>>(), blocks.clone());
                for n in 0..=blocks.len() {
                    prop_assert_eq!(starts.get(n), blocks.get(n).copied());
                }
                let below = |block: &BlockStart| block.offset < at;
                prop_assert_eq!(starts.partition_point(below), blocks.partition_point(below));
            }
        }
    }
}
