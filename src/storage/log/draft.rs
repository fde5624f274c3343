//! An entry that is made into a frame where its fields were encoded.
//!
//! The list has room in front for what most frames have there, so that nothing is copied but into
//! the log. What takes more (the start of a block, a trim, a key) goes by the writer's own buffer.

use super::writer::Writer;
use super::*;

/// A field list that is to be appended, and room in front of it for what a frame has there.
#[derive(Debug)]
pub(crate) struct Draft(Vec<u8>);

impl Default for Draft {
    fn default() -> Draft {
        Draft(vec![0; FRONT])
    }
}

impl Draft {
    #[inline]
    pub(crate) fn list(&self) -> &[u8] {
        self.0.get(FRONT..).unwrap_or_default()
    }

    /// The buffer, to which the list is to be appended.
    #[inline]
    pub(crate) fn begin(&mut self) -> &mut Vec<u8> {
        self.0.truncate(FRONT);
        &mut self.0
    }

    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl Appender<'_> {
    /// The same of a list with room in front, in which most frames are made. The list is as before
    /// when this returns.
    ///
    /// # Errors
    /// As [`Appender::append`].
    #[inline]
    pub(crate) fn append_in_place(
        &mut self,
        id: EntryId,
        draft: &mut Draft,
        trimmed: Option<EntryId>,
    ) -> Result<u64> {
        let len = draft.list().len();
        let need = (HEADER + BLOCK_HEADER + 64 + len) as u64;
        let (log, writer) = (self.log, &mut *self.writer);
        writer.make_room(log, need)?;
        let extras = writer.extras(log, trimmed);
        let flags = extras.flags();
        let block = writer.next_block(log, id, len);
        let base = writer.block.base;
        let alone = flags == 0 && block.is_none();
        match if alone { FrameBuilder::around(&mut draft.0, base, id) } else { None } {
            Some(frame) => {
                let end = draft.0.len();
                let stored = writer.store(log, frame, &mut draft.0, 1);
                draft.0.truncate(end);
                stored?;
                writer.took(id, len);
                Ok(writer.finish(log))
            }
            None => {
                let write = |out: &mut Vec<u8>| extras.write(out);
                writer.append_copy(log, (id, draft.list()), flags, block, write)
            }
        }
    }
}

impl Writer {
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
