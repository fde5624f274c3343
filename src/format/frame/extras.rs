//! What stands in front of a frame's payload: how far the log is durable, and attributes.

use super::{ATTRIBUTES, DURABLE};
use crate::entry::{read_bytes, read_varint, varint_len, write_bytes, write_varint};
use crate::id::EntryId;

/// What a frame says beside its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    /// How many bytes below the frame's own position the log was known to be durable.
    pub(crate) durable_distance: Option<u64>,
    /// Entries up to and including this ID are gone as of this frame.
    pub(crate) trimmed: Option<EntryId>,
    /// The frame has a [`Key`]. Only of what was read.
    pub(crate) keyed: bool,
}

/// By what a producer tells this frame's entry from its others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    pub(crate) producer: &'a [u8],
    pub(crate) iid: &'a [u8],
}

impl Key<'_> {
    /// Its bytes, without what says how many there are.
    pub(crate) fn len(&self) -> usize {
        self.producer.len() + self.iid.len()
    }
}

const ATTR_TRIM: u64 = 1;
const ATTR_KEY: u64 = 2;

impl Extras {
    pub(crate) fn flags(&self) -> u8 {
        (if self.durable_distance.is_some() { DURABLE } else { 0 })
            | (if self.trimmed.is_some() { ATTRIBUTES } else { 0 })
    }

    /// The same for a frame with a key.
    #[inline]
    pub(crate) fn flags_with(&self, key: Option<&Key<'_>>) -> u8 {
        self.flags() | if key.is_some() { ATTRIBUTES } else { 0 }
    }

    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.write_with(out, None);
    }

    /// Writes what a frame with these flags begins with ([`Extras::flags_with`]).
    #[inline]
    pub(crate) fn write_with(&self, out: &mut Vec<u8>, key: Option<&Key<'_>>) {
        if let Some(distance) = self.durable_distance {
            write_varint(out, distance);
        }
        let attributes = u64::from(self.trimmed.is_some()) + u64::from(key.is_some());
        if attributes > 0 {
            write_varint(out, attributes);
        }
        // An attribute is a tag with its must-understand bit, its length and its bytes.
        if let Some(id) = self.trimmed {
            let len = varint_len(id.ms) + varint_len(id.seq);
            write_varint(out, (ATTR_TRIM << 1) | 1);
            write_varint(out, len as u64);
            write_varint(out, id.ms);
            write_varint(out, id.seq);
        }
        if let Some(key) = key {
            let len = varint_len(key.producer.len() as u64) + key.len();
            write_varint(out, ATTR_KEY << 1);
            write_varint(out, len as u64);
            write_bytes(out, key.producer);
            out.extend_from_slice(key.iid);
        }
    }

    /// Reads what [`Extras::write`] wrote and moves `at` behind it. `None` if it is malformed or
    /// has an attribute that must be understood and is not.
    #[inline]
    pub(crate) fn read(flags: u8, body: &[u8], at: &mut usize) -> Option<Extras> {
        let mut extras = Extras::default();
        if flags & DURABLE != 0 {
            extras.durable_distance = Some(read_varint(body, at)?);
        }
        if flags & ATTRIBUTES != 0 {
            for _ in 0..read_varint(body, at)? {
                let tag = read_varint(body, at)?;
                let value = read_bytes(body, at)?;
                match (tag >> 1, tag & 1) {
                    (ATTR_TRIM, _) => {
                        let mut within = 0;
                        let ms = read_varint(value, &mut within)?;
                        let seq = read_varint(value, &mut within)?;
                        extras.trimmed = Some(EntryId::new(ms, seq));
                    }
                    (ATTR_KEY, _) => extras.keyed = true,
                    (_, 0) => {}
                    _ => return None,
                }
            }
        }
        Some(extras)
    }

    /// The key in a body that begins like this. `None` if there is none, or it is malformed.
    pub(crate) fn key(flags: u8, body: &[u8]) -> Option<Key<'_>> {
        let at = &mut 0;
        if flags & DURABLE != 0 {
            read_varint(body, at)?;
        }
        if flags & ATTRIBUTES == 0 {
            return None;
        }
        for _ in 0..read_varint(body, at)? {
            let tag = read_varint(body, at)?;
            let value = read_bytes(body, at)?;
            if tag >> 1 == ATTR_KEY {
                let mut within = 0;
                let producer = read_bytes(value, &mut within)?;
                return Some(Key { producer, iid: value.get(within..)? });
            }
        }
        None
    }
}
