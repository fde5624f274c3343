//! What an entry is by its fields: the idempotent ID that follows from them (IDMPAUTO).

use crate::entry::EntryRef;
use crate::id::EntryId;
use twox_hash::XxHash3_128;

/// The iid of an entry with this field list: the same for the same pairs, whatever their order.
///
/// As in Redis, it is made of the XXH3 hash of each pair (name, length of the name, value), so that
/// iids can be exchanged with one.
pub(crate) fn iid_of(list: &[u8]) -> [u8; 16] {
    let (mut sums, mut xors) = ([0u64; 2], [0u64; 2]);
    let mut pair = Vec::new();
    for (name, value) in EntryRef::new(EntryId::MIN, list).fields() {
        pair.clear();
        pair.extend_from_slice(name);
        pair.extend_from_slice(&(name.len() as u64).to_le_bytes());
        pair.extend_from_slice(value);
        let hash = XxHash3_128::oneshot(&pair);
        for (n, half) in [hash as u64, (hash >> 64) as u64].into_iter().enumerate() {
            sums[n] = u64::wrapping_add(sums[n], half);
            xors[n] ^= half;
        }
    }
    // Across the halves, so that what a sum and an xor lose is not lost in the same half.
    let low = sums[0] ^ xors[1].rotate_left(1);
    let high = sums[1] ^ xors[0].rotate_left(1);
    (u128::from(low) | (u128::from(high) << 64)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::encode_fields;

    fn iid(fields: &[(&str, &str)]) -> [u8; 16] {
        let mut list = Vec::new();
        encode_fields(&mut list, fields.iter().copied(), 1 << 20).unwrap();
        iid_of(&list)
    }

    #[test]
    fn the_order_of_fields_does_not_matter() {
        let pairs = [("a", "1"), ("b", "2"), ("c", "3")];
        let other = [("c", "3"), ("a", "1"), ("b", "2")];
        assert_eq!(iid(&pairs), iid(&other));
    }

    #[test]
    fn names_and_values_and_where_they_part_matter() {
        let all: &[&[(&str, &str)]] = &[
            &[("a", "1")],
            &[("a", "2")],
            &[("b", "1")],
            &[("1", "a")],
            &[("a", "")],
            &[("", "a")],
            &[("a1", "")],
            &[("a", "1"), ("a", "1")],
            &[("a", "1"), ("a", "1"), ("a", "1")],
            &[("a", "1"), ("b", "2")],
            &[("a", "2"), ("b", "1")],
            &[("a", "b"), ("1", "2")],
        ];
        for (n, one) in all.iter().enumerate() {
            for other in &all[n + 1..] {
                assert_ne!(iid(one), iid(other), "{one:?} {other:?}");
            }
        }
    }

    /// The hash is the one that its authors publish: of nothing, under no seed.
    #[test]
    fn the_hash_is_xxh3() {
        assert_eq!(XxHash3_128::oneshot(b""), 0x99aa_06d3_0147_98d8_6001_c324_468d_497f);
    }
}
