//! IDs, fields and batches that are refused.

use crate::ground::{error, id, kind, on_both, put};
use streamlog::{
    AppendOptions, EntryId, Error, ErrorKind, NewEntries, NewId, Result, StreamOptions,
};

fn text<T>(result: Result<T>) -> String {
    error(result).to_string()
}

fn at(id: impl Into<NewId>) -> AppendOptions {
    AppendOptions::new().id(id)
}

#[test]
fn a_text_that_is_no_id_is_refused_with_the_reason() {
    let empty = "a part is empty";
    let digits = "a part is not a decimal number";
    let large = "a part is larger than 18446744073709551615";
    for (text, reason) in [
        ("", empty),
        ("-", empty),
        ("8-", empty),
        ("-1", empty),
        ("--", empty),
        ("9--1", digits),
        ("12-0x1", digits),
        ("123-abc", digits),
        ("abc-def", digits),
        ("bad", digits),
        ("1-18446744073709551616", large),
        ("99999999999999999999-1", large),
        ("*", digits),
        ("$", digits),
        (">", digits),
        ("+", digits),
        ("+5-1", digits),
        (" 6-1", digits),
        ("10-+2", digits),
        ("6-1 ", digits),
        ("1-2-3", digits),
        ("(1-2", digits),
        ("١-1", digits),
    ] {
        let refused: Error = text.parse::<EntryId>().unwrap_err();
        let ErrorKind::InvalidId { text: t, reason: r } = refused.kind() else {
            panic!("{refused:?}");
        };
        assert_eq!((&t[..], *r), (text, reason));
        let want = format!("\"{text}\" is not an entry ID: {reason}");
        assert_eq!(refused.to_string(), want);
        assert!(EntryId::parse_end(text).is_err());
        assert!(text == "*" || text.parse::<NewId>().is_err(), "{text}");
    }
    assert_eq!("07-01".parse::<EntryId>().unwrap(), id("7-1"));
}

#[test]
fn a_text_of_more_than_127_bytes_is_no_id_and_is_cut_in_the_message() {
    let long = "1".repeat(5000);
    let refused = long.parse::<EntryId>().unwrap_err();
    let ErrorKind::InvalidId { text, reason } = refused.kind() else {
        panic!("{refused:?}");
    };
    assert_eq!((text.len(), *reason), (128, "longer than 127 bytes"));
    assert!("0".repeat(126).parse::<EntryId>().is_ok());
    assert!("0".repeat(128).parse::<EntryId>().is_err());
}

#[test]
fn an_id_that_cannot_follow_is_refused() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let zero = || stream.append_with([("a", "b")], at(EntryId::MIN));
        assert_eq!(kind(zero()), ErrorKind::IdZero);
        assert_eq!(text(zero()), "the ID of an entry must be greater than 0-0");
        put(&stream, "5-5");
        assert_eq!(kind(zero()), ErrorKind::IdZero);
        let low = || stream.append_with([("a", "b")], at(id("5-4")));
        let want = "the ID 5-4 is not greater than the stream's last ID 5-5";
        assert_eq!(text(low()), want);
        let mut batch = NewEntries::new();
        batch.push_with(id("6-0"), [("a", "b")]).unwrap();
        batch.push_with(id("5-6"), [("a", "b")]).unwrap();
        let want = "entry 1 of the batch: the ID 5-6 is not greater than the last ID 6-0";
        assert_eq!(text(stream.append_batch(&batch)), want);
        batch.clear();
        batch.push_with(EntryId::MIN, [("a", "b")]).unwrap();
        assert_eq!(kind(stream.append_batch(&batch)), ErrorKind::IdZero);
        // The far future is legal.
        stream.append_with([("a", "b")], at(EntryId::MAX)).unwrap();
        let want = "the stream has given out the last possible ID and takes no more entries";
        assert_eq!(text(stream.append([("a", "b")])), want);
        assert_eq!(stream.len().unwrap(), 2);
    });
}

#[test]
fn an_entry_has_a_field_and_a_largest_size() {
    on_both(|store| {
        let options = StreamOptions::new().max_entry_bytes(64);
        let stream = store.stream_with("s", options).unwrap();
        let none: [(&str, &str); 0] = [];
        assert_eq!(text(stream.append(none)), "an entry needs at least one field");
        assert_eq!(kind(NewEntries::new().push(none)), ErrorKind::NoFields);
        // One byte for the count of pairs, one for each length.
        let fits = "v".repeat(60);
        stream.append([("n", &fits)]).unwrap();
        let large = error(stream.append([("n", format!("{fits}v"))]));
        assert_eq!(*large.kind(), ErrorKind::EntryTooLarge { size: 65, max: 64 });
        let want = "the entry has 65 bytes or more; at most 64 are allowed";
        assert_eq!(large.to_string(), want);
        assert!(!large.to_string().contains("vv"));
        let mut batch = NewEntries::new();
        batch.push([("n", "small")]).unwrap();
        batch.push([("n", format!("{fits}v"))]).unwrap();
        let large = kind(stream.append_batch(&batch));
        assert_eq!(large, ErrorKind::EntryTooLarge { size: 65, max: 64 });
        assert_eq!(stream.len().unwrap(), 1);
    });
}

#[test]
fn a_batch_must_fit_into_one_segment() {
    on_both(|store| {
        let options = StreamOptions::new().segment_bytes(4096).max_entry_bytes(500);
        let stream = store.stream_with("s", options).unwrap();
        let mut batch = NewEntries::new();
        for _ in 0..20 {
            batch.push([("n", "v".repeat(300))]).unwrap();
        }
        let refused = error(stream.append_batch(&batch));
        let ErrorKind::BatchTooLarge { size, max } = *refused.kind() else {
            panic!("{refused:?}");
        };
        assert!(size > max && max < 4096 && size > 6000, "{size} {max}");
        let want = format!("the batch needs {size} bytes; one segment takes {max}");
        assert_eq!(refused.to_string(), want);
        assert!(stream.is_empty().unwrap());
        let empty = NewEntries::new();
        assert_eq!(stream.append_batch(&empty).unwrap(), None);
    });
}
