//! FORMAT.md against the constants: the description and the code say the same.

use super::{checksum, footer, frame, header, seed_of};

const TEXT: &str = include_str!("FORMAT.md");

/// The rows of the first table below a heading or sentence, split at the bars.
fn table(after: &str) -> Vec<Vec<String>> {
    let start = TEXT.find(after).unwrap_or_else(|| panic!("no \"{after}\" in FORMAT.md"));
    TEXT[start..]
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// The end of a table of offset, size and field, in which each row begins where the last ended.
fn end_of(rows: &[Vec<String>]) -> usize {
    let mut end = 0;
    for row in rows {
        let (offset, size): (usize, usize) = (row[0].parse().unwrap(), row[1].parse().unwrap());
        assert_eq!(offset, end, "{row:?}");
        end = offset + size;
    }
    end
}

#[test]
fn a_checksum_tells_the_seed_that_it_started_with() {
    let bytes: Vec<u8> = (0..=255).collect();
    for len in [0, 1, 9, 28, 33, 256] {
        for seed in [0, 1, 0x5eed, 0x8000_0000, u32::MAX, 0xdead_beef] {
            let bytes = &bytes[..len];
            assert_eq!(seed_of(checksum(seed, bytes), bytes), seed, "{len} bytes");
        }
    }
}

#[test]
fn the_headers_are_as_long_as_described() {
    assert_eq!(end_of(&table("The `STORE` file:")), header::STORE_FILE);
    assert_eq!(end_of(&table("begins with 128 bytes")), header::FILE_HEADER);
    assert_eq!(end_of(&table("The last 32 bytes of the file")), footer::TRAILER);
}

#[test]
fn the_frame_header_is_as_described() {
    let rows = table("The *frame seed* is");
    let fixed: Vec<_> = rows.iter().take(4).cloned().collect();
    assert_eq!(end_of(&fixed), frame::HEADER);
    let block: usize = rows[4..7].iter().map(|row| row[1].parse::<usize>().unwrap()).sum();
    assert_eq!(block, frame::BLOCK_HEADER);
    assert_eq!(rows[7][0], format!("{} or {}", frame::HEADER, frame::HEADER + frame::BLOCK_HEADER));
    let flags = [frame::BLOCK, frame::COMMIT, frame::DURABLE, frame::ATTRIBUTES];
    let names = ["block start", "commit", "durable", "attributes"];
    for (flag, name) in flags.iter().zip(names) {
        assert!(rows[3][2].contains(&format!("{flag} {name}")), "{name}");
    }
}

#[test]
fn the_kinds_are_as_described() {
    use frame::Kind;
    let kinds = [
        Kind::Begin,
        Kind::Entry,
        Kind::Batch,
        Kind::Close,
        Kind::Events,
        Kind::Section,
        Kind::CheckpointEnd,
        Kind::Superseded,
    ];
    let rows = table("| kind | name |");
    assert_eq!(rows.len(), kinds.len());
    for (row, kind) in rows.iter().zip(kinds) {
        assert_eq!(row[0], (kind as u32).to_string());
        assert_eq!(row[1], format!("{kind:?}"));
    }
}

#[test]
fn the_example_constants_are_as_described() {
    assert!(TEXT.contains("`strmlog\\0`") && super::MAGIC == *b"strmlog\0");
    assert!(
        TEXT.starts_with("The bytes on disk")
            && TEXT.contains(&format!("Version {}.", super::VERSION))
    );
    assert_eq!(frame::chain(0, 1), 0x9e37_79b9_7f4a_7c15_u64.rotate_left(31));
    assert_eq!(super::checksum(0, b"123456789"), 0xcbf4_3926);
}
