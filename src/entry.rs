//! Entries: an ID and an ordered list of field/value byte strings, owned or borrowed.
//!
//! An entry's fields are one run of bytes in the form that `format/FORMAT.md` calls a *field
//! list*; this module builds and walks that run and knows nothing of where it is stored. Whoever
//! makes an [`EntryRef`] has checked the run, so walking it cannot fail.

use crate::error::{Error, ErrorKind};
use crate::id::EntryId;
use crate::id::NewId;
use std::fmt;

/// Reads a LEB128 number; `None` if the bytes end early or the number exceeds 64 bits.
#[inline]
pub(crate) fn read_varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    // Most numbers are small, and a scan reads eight of them for each entry.
    match bytes.get(*at) {
        Some(byte) if *byte < 0x80 => {
            *at += 1;
            Some(u64::from(*byte))
        }
        _ => read_long_varint(bytes, at),
    }
}

fn read_long_varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    let mut shift = 0u32;
    loop {
        let byte = *bytes.get(*at)?;
        *at += 1;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        value |= part << shift;
        if byte < 0x80 {
            return Some(value);
        }
        shift += 7;
        if shift > 63 {
            return None;
        }
    }
}

/// Appends a LEB128 number, 1 to 10 bytes.
#[inline]
pub(crate) fn write_varint(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        out.push(value as u8);
    } else {
        write_long_varint(out, value);
    }
}

fn write_long_varint(out: &mut Vec<u8>, mut value: u64) {
    if let Some((word, len)) = spread(value) {
        let end = out.len() + len;
        out.extend_from_slice(&word.to_le_bytes());
        return out.truncate(end);
    }
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The bytes of a LEB128 number, the first one lowest, and how many they are; `None` if they do not
/// fit into a word.
#[inline]
pub(crate) fn spread(value: u64) -> Option<(u64, usize)> {
    let len = varint_len(value);
    if len > 8 {
        return None;
    }
    // Seven bits to each byte, in three steps instead of one for each byte.
    let halves = (value & 0x0fff_ffff) | (value & 0x00ff_ffff_f000_0000) << 4;
    let pairs = (halves & 0x0000_3fff_0000_3fff) | (halves & 0x0fff_c000_0fff_c000) << 2;
    let bytes = (pairs & 0x007f_007f_007f_007f) | (pairs & 0x3f80_3f80_3f80_3f80) << 1;
    // All but the last say that another one follows.
    let more = 0x8080_8080_8080_8080 & ((1 << (8 * (len - 1))) - 1);
    Some((bytes | more, len))
}

/// How many bytes [`write_varint`] takes for a number.
pub(crate) const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Appends a byte string with its length in front.
#[inline]
pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads what [`write_bytes`] wrote.
#[inline]
pub(crate) fn read_bytes<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let len = usize::try_from(read_varint(bytes, at)?).ok()?;
    let end = at.checked_add(len)?;
    let found = bytes.get(*at..end)?;
    *at = end;
    Some(found)
}

/// Encodes a field list: the number of pairs, then each name and value with its length.
///
/// # Errors
/// [`ErrorKind::NoFields`] if there is no pair, [`ErrorKind::EntryTooLarge`] above `max` bytes.
pub(crate) fn encode_fields<K, V>(
    out: &mut Vec<u8>,
    fields: impl IntoIterator<Item = (K, V)>,
    max: usize,
) -> Result<(), Error>
where
    K: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    let start = out.len();
    // Nearly every entry has fewer than 128 pairs; the count is put in front once it is known.
    out.push(0);
    let mut pairs = 0u64;
    for (name, value) in fields {
        let (name, value) = (name.as_ref(), value.as_ref());
        let more = name.len().saturating_add(value.len());
        if more > max || out.len() - start > max - more {
            let size = (out.len() - start).saturating_add(more);
            out.truncate(start);
            return Err(Error::new(ErrorKind::EntryTooLarge {
                size: size as u64,
                max: max as u64,
            }));
        }
        pairs += 1;
        write_bytes(out, name);
        write_bytes(out, value);
    }
    if pairs == 0 {
        out.truncate(start);
        return Err(Error::new(ErrorKind::NoFields));
    }
    if pairs < 0x80 {
        out[start] = pairs as u8;
    } else {
        let mut count = Vec::with_capacity(10);
        write_varint(&mut count, pairs);
        out.splice(start..=start, count);
    }
    if out.len() - start > max {
        let size = (out.len() - start) as u64;
        out.truncate(start);
        return Err(Error::new(ErrorKind::EntryTooLarge { size, max: max as u64 }));
    }
    Ok(())
}

/// Whether the bytes are exactly one well-formed field list.
#[must_use]
#[inline(always)]
pub(crate) fn check_fields(list: &[u8]) -> bool {
    is_short_pair(list) || check_pairs(list)
}

/// Whether the bytes are the field list of one pair with lengths below 128, as many are.
#[inline(always)]
fn is_short_pair(list: &[u8]) -> bool {
    let &[1, name @ ..0x80, ..] = list else {
        return false;
    };
    let value = list.get(2 + usize::from(name)).filter(|value| **value < 0x80);
    value.is_some_and(|value| list.len() == 3 + usize::from(name) + usize::from(*value))
}

fn check_pairs(list: &[u8]) -> bool {
    let mut at = 0;
    let Some(pairs) = read_varint(list, &mut at) else {
        return false;
    };
    // Each pair takes at least two bytes, so a count that cannot fit is refused before the walk.
    if pairs == 0 || pairs > (list.len() as u64) / 2 {
        return false;
    }
    for _ in 0..pairs {
        if read_bytes(list, &mut at).is_none() || read_bytes(list, &mut at).is_none() {
            return false;
        }
    }
    at == list.len()
}

/// An entry that borrows its bytes from what pins them (a snapshot, a batch or a delivery).
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    id: EntryId,
    list: &'a [u8],
}

impl<'a> EntryRef<'a> {
    /// `list` must have passed [`check_fields`]; an ill-formed one shows as fewer fields.
    #[inline]
    pub(crate) fn new(id: EntryId, list: &'a [u8]) -> EntryRef<'a> {
        EntryRef { id, list }
    }

    /// The entry's ID.
    #[must_use]
    #[inline]
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// The pairs in the order in which they were appended, duplicates kept.
    #[must_use]
    #[inline]
    pub fn fields(&self) -> Fields<'a> {
        let mut at = 0;
        let left = read_varint(self.list, &mut at).unwrap_or(0);
        Fields { list: self.list, at, left }
    }

    /// The value of the first field with this name.
    #[must_use]
    #[inline]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&'a [u8]> {
        let name = name.as_ref();
        self.fields().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// Copies the entry, so that it outlives what it borrows from. One allocation.
    #[must_use]
    pub fn to_entry(&self) -> Entry {
        Entry { id: self.id, list: self.list.into() }
    }

    pub(crate) fn list(&self) -> &'a [u8] {
        self.list
    }
}

impl PartialEq for EntryRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.list == other.list
    }
}

impl Eq for EntryRef<'_> {}

impl fmt::Debug for EntryRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.id, self.fields())
    }
}

/// The fields of an entry: an iterator over `(name, value)`.
#[derive(Clone)]
pub struct Fields<'a> {
    list: &'a [u8],
    at: usize,
    left: u64,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = read_bytes(self.list, &mut self.at)?;
        let value = read_bytes(self.list, &mut self.at)?;
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.clone()
                    .map(|(k, v)| (k.escape_ascii().to_string(), v.escape_ascii().to_string())),
            )
            .finish()
    }
}

/// An entry that owns its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    id: EntryId,
    list: Box<[u8]>,
}

impl Entry {
    /// The entry's ID.
    #[must_use]
    #[inline]
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// The pairs in the order in which they were appended, duplicates kept.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        self.as_ref().fields()
    }

    /// The value of the first field with this name.
    #[must_use]
    #[inline]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.as_ref().get(name)
    }

    /// The same entry, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> EntryRef<'_> {
        EntryRef { id: self.id, list: &self.list }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// Entries to be appended together: all of them or none.
///
/// ```
/// let mut batch = streamlog::NewEntries::new();
/// batch.push([("item", "book")])?;
/// batch.push([("item", "pen"), ("qty", "3")])?;
/// assert_eq!(batch.len(), 2);
/// # Ok::<(), streamlog::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct NewEntries {
    pub(crate) bytes: Vec<u8>,
    /// For each entry the ID that it asks for and the end of its field list in `bytes`.
    pub(crate) ends: Vec<(NewId, usize)>,
}

impl NewEntries {
    /// The largest field list that any stream could take, in bytes.
    const MAX_LIST: usize = 1 << 30;

    /// An empty batch.
    #[must_use]
    pub fn new() -> NewEntries {
        NewEntries::default()
    }

    /// Adds an entry with a generated ID.
    ///
    /// # Errors
    /// [`ErrorKind::NoFields`] without a pair, [`ErrorKind::EntryTooLarge`] above 1 GiB. A failed
    /// call leaves the batch as it was.
    pub fn push<K, V>(&mut self, fields: impl IntoIterator<Item = (K, V)>) -> Result<(), Error>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.push_with(NewId::Auto, fields)
    }

    /// Adds an entry with an ID of the caller's choice.
    ///
    /// # Errors
    /// As [`NewEntries::push`]. Whether the ID is greater than those before is checked when the
    /// batch is appended.
    pub fn push_with<K, V>(
        &mut self,
        id: impl Into<NewId>,
        fields: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), Error>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        encode_fields(&mut self.bytes, fields, Self::MAX_LIST)?;
        self.ends.push((id.into(), self.bytes.len()));
        Ok(())
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets the entries and keeps the memory, for the next batch.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(crate) fn lists(&self) -> impl Iterator<Item = (NewId, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |(id, end)| {
            let list = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            (*id, list)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_fields(&mut out, fields.iter().copied(), 1 << 20).unwrap();
        out
    }

    #[test]
    fn order_duplicates_and_empty_strings_are_kept() {
        let pairs: [(&[u8], &[u8]); 4] =
            [(b"a", b"1"), (b"a", b"2"), (b"", b""), (b"b\0", b"\xff")];
        let list = encoded(&pairs);
        assert!(check_fields(&list));
        let entry = EntryRef::new(EntryId::new(1, 1), &list).to_entry();
        assert_eq!(entry.fields().collect::<Vec<_>>(), pairs);
        assert_eq!(entry.get("a"), Some(&b"1"[..]));
        assert_eq!(entry.get("missing"), None);
    }

    #[test]
    fn many_fields_get_a_longer_count() {
        let pairs: Vec<_> = (0..70_000u32).map(|n| (n.to_be_bytes(), [1u8])).collect();
        let mut list = Vec::new();
        encode_fields(&mut list, pairs, 1 << 20).unwrap();
        assert!(check_fields(&list));
        assert_eq!(EntryRef::new(EntryId::MIN, &list).fields().len(), 70_000);
    }

    #[test]
    fn bad_lists_are_refused_and_leave_nothing() {
        let mut out = vec![7];
        let none: [(&str, &str); 0] = [];
        assert!(matches!(
            encode_fields(&mut out, none, 10).unwrap_err().kind(),
            ErrorKind::NoFields
        ));
        let error = encode_fields(&mut out, [("name", "0123456789")], 12).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::EntryTooLarge { max: 12, .. }));
        assert_eq!(out, [7]);
        for bad in [
            &b""[..],
            b"\0",
            b"\x01",
            b"\x01\x01a",
            b"\x02\0\0",
            b"\x01\0\0\0",
            b"\xff\xff\xff\xff\x0f\0\0",
        ] {
            assert!(!check_fields(bad), "{bad:?}");
        }
    }

    #[test]
    fn varints_go_there_and_back() {
        let edges = (0..64).map(|bit| 1u64 << bit).flat_map(|edge| [edge - 1, edge, edge + 1]);
        let mixed = edges.clone().map(|edge| edge ^ 0x0123_4567_89ab_cdef);
        for value in edges.chain(mixed).chain([u64::MAX - 1, u64::MAX]) {
            let mut out = Vec::new();
            write_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value));
            let mut at = 0;
            assert_eq!(read_varint(&out, &mut at), Some(value));
            assert_eq!(at, out.len());
            assert_eq!(read_varint(&out[..out.len() - 1], &mut 0), None);
        }
        assert_eq!(read_varint(&[0xff; 10], &mut 0), None);
    }
}
