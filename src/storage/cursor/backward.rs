//! The walk towards the beginning: frames tell only where the next one is, so a block is walked
//! forward and handed out from its end.

use super::reading::Reading;
use super::*;

/// Walks a span backward, a block at a time.
#[derive(Clone, Debug)]
pub(crate) struct Backward {
    segment: usize,
    /// Frames below this are not walked yet; `None`: all that the span has of the segment.
    limit: Option<u64>,
    /// Entries above this are passed over.
    to: EntryId,
    /// The entries of the block that is being walked, the next one last.
    block: Vec<Place>,
    done: bool,
}

impl Backward {
    /// Which of the span's segments it is in.
    pub(crate) fn segment(&self) -> usize {
        self.segment
    }

    /// Begins with the last live entry at or below `id`.
    pub(crate) fn seek(span: &Span, id: EntryId) -> Backward {
        let segment = span.segment_of(id);
        let limit = span.segments.get(segment).and_then(|s| {
            let block = s.seek(id, span.limit(s));
            s.block_after(u64::from(block.offset), span.limit(s)).map(|b| u64::from(b.offset))
        });
        let done = span.segments.is_empty();
        Backward { segment, limit, to: id, block: Vec::new(), done }
    }

    /// The next entry towards the beginning; `None` at the first live one.
    ///
    /// # Errors
    /// `Corrupt` where a frame fails its checks; the cursor stays there.
    pub(crate) fn next(&mut self, reading: &mut Reading<'_>) -> Result<Option<Place>> {
        loop {
            while let Some(place) = self.block.pop() {
                if place.id <= reading.span.trimmed {
                    self.block.clear();
                    self.done = true;
                    return Ok(None);
                }
                let segment = reading.span.segments.get(place.segment as usize);
                if place.id <= self.to && segment.is_some_and(|s| !s.is_deleted(place.ordinal)) {
                    return Ok(Some(place));
                }
            }
            if self.done {
                return Ok(None);
            }
            self.load(reading)?;
        }
    }

    /// Fills `block` with the block before the limit, or moves to the segment before.
    fn load(&mut self, reading: &mut Reading<'_>) -> Result<()> {
        let span = reading.span;
        let Some(here) = reading.here(self.segment)? else {
            self.done = true;
            return Ok(());
        };
        let limit = self.limit.unwrap_or(here.limit).min(here.limit);
        let Some(block) = here.segment.block_before(limit) else {
            match self.segment.checked_sub(1) {
                Some(before) => {
                    self.segment = before;
                    self.limit = None;
                }
                None => self.done = true,
            }
            return Ok(());
        };
        let mut forward = Forward::at(span, self.segment, &block);
        while forward.batch.is_some() || forward.offset < limit {
            if !forward.next_here(here)? || u64::from(forward.place.start) >= limit {
                break;
            }
            self.block.push(forward.place);
        }
        self.limit = Some(u64::from(block.offset));
        Ok(())
    }
}
