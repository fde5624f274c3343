//! File names: built and parsed side by side.

/// The file that says that a directory is a store.
pub(crate) const STORE: &str = "STORE";
/// The lock file.
pub(crate) const LOCK: &str = "LOCK";
/// The file on which readers look whether a writer lives.
pub(crate) const LIVE: &str = "LIVE";
/// The directory of the state journal.
pub(crate) const STATE: &str = "state";
/// The directory of the streams.
pub(crate) const STREAMS: &str = "streams";
/// The journal files, used in turn.
pub(crate) const JOURNALS: [&str; 3] = ["0", "1", "2"];
/// Between the name of a damaged journal file and the number under which it is kept.
const DAMAGED: &str = ".damaged-";
/// The suffix of a file that is not complete yet.
pub(crate) const TMP: &str = ".tmp";

/// In a stream's directory while the stream is copied there: without a record of its creation the
/// directory is no stream.
pub(crate) const COPYING: &str = "copy.tmp";

/// The directory of a stream.
pub(crate) fn stream_dir(number: u64) -> String {
    number.to_string()
}

pub(crate) fn parse_stream_dir(name: &str) -> Option<u64> {
    let number = name.parse().ok()?;
    (stream_dir(number) == name).then_some(number)
}

/// The file of a segment.
pub(crate) fn segment(number: u64, generation: u32) -> String {
    format!("{number:010}.{generation:04}.seg")
}

pub(crate) fn parse_segment(name: &str) -> Option<(u64, u32)> {
    let (number, generation) = name.strip_suffix(".seg")?.split_once('.')?;
    let parsed = (number.parse().ok()?, generation.parse().ok()?);
    (segment(parsed.0, parsed.1) == name).then_some(parsed)
}

/// The name under which a damaged journal file is kept.
pub(crate) fn set_aside(journal: &str, number: u64) -> String {
    format!("{journal}{DAMAGED}{number}")
}

pub(crate) fn is_set_aside(name: &str) -> bool {
    let parts = name.split_once(DAMAGED);
    let parsed = parts.and_then(|(journal, number)| Some((journal, number.parse().ok()?)));
    parsed.is_some_and(|(journal, number)| {
        JOURNALS.contains(&journal) && set_aside(journal, number) == name
    })
}

/// Whether a file in a stream's directory is of no use any more: never complete and never referred
/// to, or the mark of a copy whose record is on disk by now.
pub(crate) fn is_left_over(name: &str) -> bool {
    name == COPYING || name.strip_suffix(TMP).and_then(parse_segment).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for (number, generation) in [(0, 0), (7, 3), (9_999_999_999, 9999), (u64::MAX, u32::MAX)] {
            assert_eq!(parse_segment(&segment(number, generation)), Some((number, generation)));
        }
        assert_eq!(parse_stream_dir(&stream_dir(42)), Some(42));
        for number in [1, 42, u64::MAX] {
            assert!(JOURNALS.iter().all(|journal| is_set_aside(&set_aside(journal, number))));
        }
    }

    #[test]
    fn other_names_are_not_ours() {
        for name in [
            "",
            "x",
            "1.seg",
            "0000000001.0000.seg.tmp",
            "0000000001 (copy).0000.seg",
            "+000000001.0000.seg",
            "00000000001.0000.seg",
            "0000000001.0000.SEG",
        ] {
            assert_eq!(parse_segment(name), None, "{name}");
        }
        for name in ["", "0", "0.damaged-", "0.damaged-01", "3.damaged-1", "0.damaged-1.damaged-1"]
        {
            assert!(!is_set_aside(name), "{name}");
        }
        for name in ["", "01", "+1", "-1", "1 ", "x"] {
            assert_eq!(parse_stream_dir(name), None, "{name}");
        }
    }
}
