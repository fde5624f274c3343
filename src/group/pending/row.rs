//! What the lists of a pending entries list hold, narrow and wide.
//!
//! Entries that are pending together are near each other: in their IDs, in when they were
//! delivered. So a block of them keeps one item in full and of the others what sets them apart, as
//! long as that fits.

use crate::format::event::PendingRecord;
use crate::id::EntryId;

/// Something that a block holds by its ID.
pub(super) trait Item: Copy + PartialEq {
    /// What sets it apart from another one.
    type Near: Copy;

    fn id(&self) -> EntryId;

    /// By when the items come, where that is another order than that of their IDs; `u64::MAX` for
    /// those that have no place in it.
    fn time(&self) -> u64;

    /// `None` if it is too far from `base`, or in front of it.
    fn near(&self, base: &Self) -> Option<Self::Near>;

    /// The item that `near` was made of, with the same base.
    fn at(near: Self::Near, base: &Self) -> Self;
}

/// An ID's distance from another one: milliseconds, and the sequence number, which is a distance
/// too where the milliseconds are the same.
#[derive(Clone, Copy)]
pub(super) struct NearId {
    ms: u32,
    seq: u32,
}

impl Item for EntryId {
    type Near = NearId;

    fn id(&self) -> EntryId {
        *self
    }

    fn time(&self) -> u64 {
        u64::MAX
    }

    #[inline]
    fn near(&self, base: &EntryId) -> Option<NearId> {
        let ms = self.ms.checked_sub(base.ms)?;
        let seq = if ms == 0 { self.seq.checked_sub(base.seq)? } else { self.seq };
        Some(NearId { ms: ms.try_into().ok()?, seq: seq.try_into().ok()? })
    }

    #[inline]
    fn at(near: NearId, base: &EntryId) -> EntryId {
        let before = if near.ms == 0 { base.seq } else { 0 };
        EntryId { ms: base.ms + u64::from(near.ms), seq: before + u64::from(near.seq) }
    }
}

/// In the place of an owner's number: nobody.
const NOBODY: u32 = u32::MAX;

/// A record's distance from another one.
#[derive(Clone, Copy)]
pub(super) struct NearRecord {
    id: NearId,
    /// Signed: a claim may say that it was delivered before. Of what nobody owns: its turn.
    time_ms: i32,
    owner: u32,
    count: u32,
}

impl Item for PendingRecord {
    type Near = NearRecord;

    fn id(&self) -> EntryId {
        self.id
    }

    fn time(&self) -> u64 {
        self.owner.map_or(u64::MAX, |_| self.time_ms)
    }

    #[inline]
    fn near(&self, base: &PendingRecord) -> Option<NearRecord> {
        let (owner, time_ms) = match self.owner {
            None => (NOBODY, self.time_ms.try_into().ok()?),
            Some(NOBODY) => return None,
            Some(owner) => {
                let distance = self.time_ms.wrapping_sub(base.time_ms).cast_signed();
                (owner, i32::try_from(distance).ok()?)
            }
        };
        let count = u32::try_from(self.count).ok()?;
        Some(NearRecord { id: self.id.near(&base.id)?, time_ms, owner, count })
    }

    #[inline]
    fn at(near: NearRecord, base: &PendingRecord) -> PendingRecord {
        let owner = Some(near.owner).filter(|owner| *owner != NOBODY);
        PendingRecord {
            id: EntryId::at(near.id, &base.id),
            owner,
            time_ms: match owner {
                Some(_) => base.time_ms.wrapping_add_signed(i64::from(near.time_ms)),
                None => u64::from(near.time_ms.cast_unsigned()),
            },
            count: u64::from(near.count),
        }
    }
}

/// What a pending entry costs at best, in bytes: the record, and its ID in its owner's list.
const _: () = assert!(size_of::<NearRecord>() == 20 && size_of::<NearId>() == 8);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Small distances, and those at which something does not fit any more.
    fn edge() -> impl Strategy<Value = u64> {
        let edges = [0, 1, u64::from(u32::MAX) - 1, u64::from(u32::MAX), 1 << 32, u64::MAX];
        prop_oneof![0..9u64, (0..edges.len()).prop_map(move |n| edges[n]), any::<u64>()]
    }

    fn record() -> impl Strategy<Value = PendingRecord> {
        let owner = prop_oneof![Just(None), Just(Some(u32::MAX)), (0..3u32).prop_map(Some)];
        (edge(), edge(), owner, edge(), edge()).prop_map(|(ms, seq, owner, time_ms, count)| {
            PendingRecord { id: EntryId { ms, seq }, owner, time_ms, count }
        })
    }

    proptest! {
        #[test]
        fn what_is_near_comes_back_as_it_was(base in record(), record in record()) {
            if let Some(near) = record.near(&base) {
                prop_assert_eq!(PendingRecord::at(near, &base), record);
            }
            if let Some(near) = record.id.near(&base.id) {
                prop_assert_eq!(EntryId::at(near, &base.id), record.id);
            }
        }
    }
}
