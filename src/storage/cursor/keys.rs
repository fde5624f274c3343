//! The producers' keys that entries have in their frames: read when a stream is opened.

use super::*;
use crate::format::frame::{Extras, Header, Key, Kind, read_single};

/// Where the walk is in a segment.
struct Step {
    at: u64,
    base: Option<EntryId>,
}

impl Span {
    /// Calls `take` for each entry with a key whose frame ends above a position: with the key, the
    /// entry's ID, and the position behind the frame. Entries that are gone are told as well, as
    /// long as their frames are there.
    ///
    /// # Errors
    /// `Corrupt` where a frame fails its checks, unless damage is skipped; `Io`.
    pub(crate) fn each_key(
        &self,
        above: u64,
        mut take: impl FnMut(Key<'_>, EntryId, u64),
    ) -> Result<()> {
        for segment in self.segments.iter() {
            let (limit, position) = (self.limit(segment), segment.position());
            if position + limit <= above {
                continue;
            }
            let block = segment.block_before(above.saturating_sub(position).saturating_add(1));
            let at = block.map_or(segment.first_offset, |block| u64::from(block.offset));
            let region = segment.region()?;
            let bytes = region.slice(0, limit).or_else(|| region.slice(0, region.frozen()));
            let mut step = Step { at, base: None };
            while step.at < limit {
                let found = step.take(segment, bytes.unwrap_or_default(), self.skip_damage)?;
                if let Some((key, id)) = found.filter(|_| position + step.at > above) {
                    take(key, id, position + step.at);
                }
            }
        }
        Ok(())
    }
}

impl Step {
    /// Takes in the frame here and goes behind it.
    fn take<'a>(
        &mut self,
        segment: &Segment,
        bytes: &'a [u8],
        skip_damage: bool,
    ) -> Result<Option<(Key<'a>, EntryId)>> {
        let hole = if skip_damage { segment.known_hole(self.at) } else { None };
        if let Some(hole) = hole {
            (self.at, self.base) = (hole.to, hole.base);
            return Ok(None);
        }
        if let Some(found) = self.frame(segment.seed, bytes) {
            return Ok(found);
        }
        let hole = if skip_damage { segment.hole_at(self.at)? } else { None };
        let Some(hole) = hole.filter(|hole| hole.to > self.at) else {
            return Err(damaged(segment, self.at, "a frame fails its checks"));
        };
        (self.at, self.base) = (hole.to, hole.base);
        Ok(None)
    }

    /// `None` if the frame does not pass its checks.
    fn frame<'a>(&mut self, seed: u32, bytes: &'a [u8]) -> Option<Option<(Key<'a>, EntryId)>> {
        let frame = bytes.get(usize::try_from(self.at).ok()?..)?;
        let header = Header::decode(frame, seed, self.at)?;
        let body = header.body(frame, seed, self.at)?;
        let mut within = 0;
        let extras = Extras::read(header.flags, body, &mut within)?;
        if let Some((base, _)) = header.block {
            self.base = Some(base);
        }
        self.at += header.frame_len();
        if !extras.keyed || header.kind != Kind::Entry {
            return Some(None);
        }
        let (id, _) = read_single(&header, body, within, self.base?)?;
        Some(Extras::key(header.flags, body).map(|key| (key, id)))
    }
}
