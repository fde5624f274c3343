//! Field lists as they are appended.
//!
//! What most frames have in front of a list is made in registers and stored from there, and the
//! list is copied behind it, so that nothing is copied but into the log. What takes more (the start
//! of a block, a trim, a key), and what is written by call, goes by the writer's own buffer.

use super::writer::Writer;
use super::*;

/// A field list that is to be appended.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Behind the list, the zeros that the frame of most entries has there.
    bytes: Vec<u8>,
    /// Where the list ends.
    end: usize,
}

impl Draft {
    #[inline]
    pub(crate) fn list(&self) -> &[u8] {
        self.bytes.get(..self.end).unwrap_or_default()
    }

    /// The buffer, to which the list is to be appended.
    #[inline]
    pub(crate) fn begin(&mut self) -> &mut Vec<u8> {
        self.bytes.clear();
        &mut self.bytes
    }

    /// The list is complete.
    #[inline]
    pub(crate) fn complete(&mut self) {
        self.end = self.bytes.len();
        let frame = HEADER + PLAIN_ID + self.end;
        let padding = padded(frame) as usize - frame;
        // A long list must not take twice its memory for them.
        self.bytes.reserve_exact(padding);
        self.bytes.extend_from_slice(&[0; ALIGN as usize][..padding]);
    }

    /// What a frame has behind its first [`FRONT`] bytes.
    #[inline]
    fn behind_front(&self) -> &[u8] {
        self.bytes.get(FRONT - HEADER - PLAIN_ID..).unwrap_or_default()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

impl Appender<'_> {
    /// The same of a list that is ready.
    ///
    /// # Errors
    /// As [`Appender::append`].
    #[inline]
    pub(crate) fn append_draft(
        &mut self,
        id: EntryId,
        draft: &Draft,
        trimmed: Option<EntryId>,
    ) -> Result<u64> {
        let len = draft.list().len();
        let need = (HEADER + BLOCK_HEADER + 64 + len) as u64;
        let (log, writer) = (self.log, &mut *self.writer);
        writer.make_room(log, need)?;
        let extras = writer.extras(log, trimmed);
        let flags = extras.flags();
        let block = writer.next_block(log, id, len);
        let alone = flags == 0 && block.is_none();
        if alone && writer.store_plain(log, draft, id)? {
            writer.took(id, len);
            return Ok(writer.finish(log));
        }
        let write = |out: &mut Vec<u8>| extras.write(out);
        writer.append_copy(log, (id, draft.list()), flags, block, write)
    }
}

impl Writer {
    /// Puts a frame around the list into the map, if it is one of the most, and is written there.
    /// Returns whether it did.
    #[inline]
    fn store_plain(&mut self, log: &Log, draft: &Draft, id: EntryId) -> Result<bool> {
        let (base, by_call) = (self.block.base, self.writes_by_call(log));
        let Some(active) = self.active.as_mut().filter(|_| !by_call) else {
            return Ok(false);
        };
        let at = active.end;
        let Some(front) = Front::of(draft.list(), base, id, active.segment.seed, at) else {
            return Ok(false);
        };
        let behind = draft.behind_front();
        if let Err(error) = active.region.write_words(at, &front.words, behind) {
            return Err(self.failed(at, error));
        }
        self.stored(log, (FRONT + behind.len()) as u64, front.crc, 1);
        Ok(true)
    }

    /// Appends an entry by way of the writer's own buffer.
    #[inline(never)]
    pub(super) fn append_copy(
        &mut self,
        log: &Log,
        (id, list): (EntryId, &[u8]),
        flags: u8,
        block: Option<(EntryId, u64)>,
        extras: impl FnOnce(&mut Vec<u8>),
    ) -> Result<u64> {
        let mut out = std::mem::take(&mut self.scratch);
        let frame = FrameBuilder::begin(&mut out, Kind::Entry, flags, block);
        if flags != 0 {
            extras(&mut out);
        }
        if block.is_none() {
            write_id(&mut out, self.block.base, id);
        }
        out.extend_from_slice(list);
        let stored = self.store(log, frame, &mut out, 1);
        self.scratch = out;
        stored?;
        self.took(id, list.len());
        Ok(self.finish(log))
    }
}
