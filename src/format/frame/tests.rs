//! Frames go there and back, and nothing else passes for one.

use super::*;
use crate::entry::encode_fields;
use proptest::prelude::*;

const SEED: u32 = 0xabcd_1234;

fn entry_frame(base: Option<(EntryId, u64)>, id: EntryId, from: EntryId, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let frame = FrameBuilder::begin(&mut out, Kind::Entry, 0, base);
    if base.is_none() {
        write_id(&mut out, from, id);
    }
    encode_fields(&mut out, [("data", value)], 1 << 20).unwrap();
    frame.end(&mut out, SEED, 128);
    out
}

#[test]
fn a_frame_of_one_entry_goes_there_and_back() {
    let id = EntryId::new(5, 7);
    let bytes = entry_frame(Some((id, 42)), id, id, b"hello");
    assert_eq!(bytes.len() % 8, 0);
    let header = Header::decode(&bytes, SEED, 128).unwrap();
    assert_eq!((header.kind, header.block), (Kind::Entry, Some((id, 42))));
    assert_eq!(header.frame_len(), bytes.len() as u64);
    let body = header.body(&bytes, SEED, 128).unwrap();
    let mut entries = Entries::new(&header, body, 0, id).unwrap();
    let (read, place) = entries.next(body).unwrap();
    assert_eq!(read, id);
    assert!(check_fields(&body[place]));
    assert_eq!(entries.next(body), None);
    assert_eq!(entries.left(), 0);
}

#[test]
fn every_flipped_bit_of_a_frame_is_noticed() {
    let id = EntryId::new(5, 7);
    for good in [
        entry_frame(Some((id, 42)), id, id, b"payload"),
        entry_frame(None, EntryId::new(6, 1), id, b"payload"),
    ] {
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let found = Header::decode(&bad, SEED, 128)
                .and_then(|header| header.body(&bad, SEED, 128).map(<[u8]>::to_vec));
            assert_eq!(found, None, "bit {bit}");
        }
    }
}

#[test]
fn a_frame_passes_at_its_own_place_only() {
    let id = EntryId::new(5, 7);
    let bytes = entry_frame(Some((id, 42)), id, id, b"hello");
    assert!(Header::decode(&bytes, SEED, 136).is_none());
    assert!(Header::decode(&bytes, SEED + 1, 128).is_none());
}

#[test]
fn zeros_are_no_frame() {
    for seed in 0..2000 {
        assert_eq!(Header::decode(&[0; 64], seed, 128), None);
    }
}

#[test]
fn a_single_entry_costs_at_most_28_bytes_without_its_names() {
    let from = EntryId::new(1_700_000_000_000, 0);
    for payload in 0..300usize {
        let id = EntryId::new(from.ms + 999, 3);
        let len = entry_frame(None, id, from, &vec![b'x'; payload]).len();
        assert!(len - payload - "data".len() <= 28, "{payload}: {len}");
    }
}

#[test]
fn unknown_attributes_are_skipped_unless_they_must_be_understood() {
    let mut body = Vec::new();
    write_varint(&mut body, 1);
    write_varint(&mut body, 99 << 1);
    write_bytes(&mut body, b"later");
    assert_eq!(Extras::read(ATTRIBUTES, &body, &mut 0), Some(Extras::default()));
    body[1] |= 1;
    assert_eq!(Extras::read(ATTRIBUTES, &body, &mut 0), None);
}

fn any_id() -> impl Strategy<Value = EntryId> {
    prop_oneof![
        (0u64..50, 0u64..50).prop_map(EntryId::from),
        (any::<u64>(), any::<u64>()).prop_map(EntryId::from)
    ]
}

proptest! {
    #[test]
    fn ids_go_there_and_back(a in any_id(), b in any_id()) {
        let (from, to) = (a.min(b), a.max(b));
        let mut out = Vec::new();
        write_id(&mut out, from, to);
        prop_assert_eq!(read_id(&out, &mut 0, from), Some(to));
    }

    #[test]
    fn extras_go_there_and_back(
        distance in any::<Option<u64>>(),
        trim in proptest::option::of(any_id()),
        key in any::<Option<(Vec<u8>, Vec<u8>)>>(),
    ) {
        let key = key.as_ref().map(|(producer, iid)| Key { producer, iid });
        let extras = Extras { durable_distance: distance, trimmed: trim, keyed: key.is_some() };
        let mut out = Vec::new();
        extras.write_with(&mut out, key.as_ref());
        let mut at = 0;
        let flags = extras.flags_with(key.as_ref());
        prop_assert_eq!(Extras::read(flags, &out, &mut at), Some(extras));
        prop_assert_eq!(at, out.len());
        prop_assert_eq!(Extras::key(flags, &out), key);
    }

    #[test]
    fn begins_go_there_and_back(
        previous in any::<Option<(u64, u64)>>(), position: u64, last_id in any_id(),
        ordinal: u64, chain: u64, restart: u64, name: Vec<u8>,
    ) {
        let begin = Begin { previous, position, last_id, ordinal, chain, restart, name };
        let mut out = Vec::new();
        begin.write(&mut out);
        prop_assert_eq!(Begin::read(&out, 0), Some(begin));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>, flags: u8) {
        if let Some(header) = Header::decode(&bytes, SEED, 8) {
            let _ = header.body(&bytes, SEED, 8);
        }
        let _ = Begin::read(&bytes, 0);
        let mut at = 0;
        let _ = Extras::read(flags, &bytes, &mut at);
        let _ = Extras::key(flags, &bytes);
        for kind in [Kind::Entry, Kind::Batch] {
            let body_len = bytes.len();
            let header = Header { kind, flags, body_len, body_crc: 0, block: None, crc: 0 };
            if let Some(mut entries) = Entries::new(&header, &bytes, 0, EntryId::MIN) {
                while entries.next(&bytes).is_some() {}
            }
        }
    }
}

/// Fails if the checksums of a frame in words are other ones than those of its bytes, for any
/// length, or if a processor without the instructions writes other ones.
#[test]
fn words_have_the_checksums_of_their_bytes() {
    for end in HEADER..=128 {
        let seed = (end as u32).wrapping_mul(0x9e37_79b1);
        let byte = |n: usize| if (HEADER..end).contains(&n) { (n * 7 + 3) as u8 } else { 0 };
        let bytes: Vec<u8> = (8..padded(end) as usize).map(byte).collect();
        let words: Vec<u64> = bytes.as_chunks().0.iter().map(|w| u64::from_le_bytes(*w)).collect();
        let size = u64::from((Kind::Events as u32) << 28 | (end - HEADER) as u32);
        let sum = u64::from(checksum(!seed, &bytes[HEADER - 8..end - 8]));
        let head = checksum_of(seed, sum | size << 32, 0, None);
        let usual = u64::from(head) | sum << 32;
        assert_eq!(words_checksums(seed, size, &words, end), usual, "{end}");
        assert_eq!(words_checksums_apart(seed, size, &words, end), usual, "{end}");
    }
}
