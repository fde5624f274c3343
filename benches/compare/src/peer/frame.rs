//! The record that the limit rows write.
//!
//! Checksum (4), length of the field list (4), ID (16), field list: number of fields, length and
//! bytes of the name, length and bytes of the value. The checksum is over all that follows it, and
//! that part is filled up with zeros to whole blocks of 16 bytes: crc32fast takes as long for the
//! bytes behind the last whole block as for several blocks. Length 0 is the end.

use super::Outcome;
use crc32fast::Hasher;

/// Bytes in front of the field list.
const HEAD: usize = 24;
const CHECKSUM: usize = 4;
const BLOCK: usize = 16;
const NAME: &[u8] = b"data";
/// Number of fields, length of the name, and the name.
const FIELD: usize = 2 + NAME.len();

/// A record that was found whole.
pub struct Found<'a> {
    pub id: (u64, u64),
    /// The field list.
    pub list: &'a [u8],
    /// Bytes from its beginning to the next record's.
    pub whole: usize,
}

/// Bytes of a record whose field list has `list` bytes.
#[inline]
fn whole(list: usize) -> usize {
    CHECKSUM + (HEAD - CHECKSUM + list).next_multiple_of(BLOCK)
}

/// Bytes of a field list with a value of this length, and of what is in front of the value.
#[inline]
fn list(value: usize) -> (usize, usize) {
    // One byte holds lengths below 128, two those below 16,384, as varints do.
    let front = FIELD + 1 + usize::from(value >= 128);
    (front + value, front)
}

/// Bytes of a record with `entries` values of this length.
#[inline]
pub fn room(entries: usize, value: usize) -> usize {
    whole(entries * list(value).0)
}

/// Writes a field list with one value to where `to` begins.
#[inline]
fn put_list(to: &mut [u8], value: &[u8]) {
    let (end, front) = list(value.len());
    let to = &mut to[..end];
    to[0] = 1;
    to[1] = NAME.len() as u8;
    to[2..FIELD].copy_from_slice(NAME);
    if front == FIELD + 1 {
        to[FIELD] = value.len() as u8;
    } else {
        to[FIELD] = (value.len() as u8 & 0x7f) | 0x80;
        to[FIELD + 1] = (value.len() >> 7) as u8;
    }
    to[front..].copy_from_slice(value);
}

/// Fills `record`, which is as long as [`room`] says, with values of one length.
#[inline]
pub fn put(record: &mut [u8], crc: &Hasher, id: (u64, u64), values: &[&[u8]]) {
    let each = list(values.first().map_or(0, |value| value.len())).0;
    let padded = record.len() - BLOCK;
    record[padded..].fill(0);
    record[4..8].copy_from_slice(&((each * values.len()) as u32).to_le_bytes());
    record[8..16].copy_from_slice(&id.0.to_le_bytes());
    record[16..24].copy_from_slice(&id.1.to_le_bytes());
    let mut at = HEAD;
    for value in values {
        put_list(&mut record[at..], value);
        at += each;
    }
    let mut crc = crc.clone();
    crc.update(&record[CHECKSUM..]);
    record[..CHECKSUM].copy_from_slice(&crc.finalize().to_le_bytes());
}

/// The record at `at`, if there is one, with its checksum checked.
#[inline]
pub fn get<'a>(bytes: &'a [u8], at: usize, crc: &Hasher) -> Outcome<Option<Found<'a>>> {
    let Some((head, _)) = bytes.get(at..).and_then(|rest| rest.split_first_chunk::<HEAD>()) else {
        return Ok(None);
    };
    let number = |from: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&head[from..from + 8]);
        u64::from_le_bytes(eight)
    };
    let lengths = number(0);
    let (sum, list) = (lengths as u32, (lengths >> 32) as usize);
    if list == 0 {
        return Ok(None);
    }
    let whole = whole(list);
    let record = bytes.get(at..at + whole).ok_or("a length beyond the file")?;
    let mut hasher = crc.clone();
    hasher.update(&record[CHECKSUM..]);
    if hasher.finalize() != sum {
        return Err("a checksum does not match".into());
    }
    Ok(Some(Found { id: (number(8), number(16)), list: &record[HEAD..HEAD + list], whole }))
}

/// The value of a field list with one field.
#[inline]
pub fn value(list: &[u8]) -> &[u8] {
    let front = FIELD + 1 + usize::from(list[FIELD] >= 128);
    &list[front..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_one_changed_byte_is_noticed() {
        let crc = Hasher::new();
        for length in [0, 1, 100, 127, 128, 1024, 16_383] {
            let payload = vec![7; length];
            let mut bytes = vec![9; room(1, length) + HEAD];
            let end = room(1, length);
            put(&mut bytes[..end], &crc, (5, 6), &[&payload]);
            bytes[end..].fill(0);
            let found = get(&bytes, 0, &crc).expect("it is whole").expect("there");
            assert_eq!((found.id, found.whole), ((5, 6), end));
            assert_eq!(value(found.list), payload);
            assert!(get(&bytes, end, &crc).expect("zeros").is_none());
            bytes[end - 1] ^= 1;
            assert!(get(&bytes, 0, &crc).is_err(), "{length}");
        }
    }
}
