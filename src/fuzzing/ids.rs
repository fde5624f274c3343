//! ID texts: whatever parses comes out again as the same ID.

use crate::id::{EntryId, NewId};

/// Parses a text as an ID. Returns whether it is one.
pub fn id(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    if let Ok(new) = text.parse::<NewId>() {
        match new {
            NewId::Exact(id) => assert_eq!(text.parse::<EntryId>().unwrap(), id),
            NewId::Auto => assert_eq!(text, "*"),
            NewId::AutoSeq(ms) => assert_eq!(format!("{ms}-*").parse::<NewId>().unwrap(), new),
        }
    }
    let end = EntryId::parse_end(text);
    let Ok(id) = text.parse::<EntryId>() else {
        assert!(end.is_err());
        return false;
    };
    assert_eq!(id.to_string().parse::<EntryId>().unwrap(), id);
    let end = end.unwrap();
    assert!(end.ms == id.ms && (end == id || end.seq == u64::MAX));
    assert!(text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'));
    assert!(id.next().is_none_or(|next| next > id && next.prev() == Some(id)));
    assert!(id.prev().is_none_or(|prev| prev < id && prev.next() == Some(id)));
    true
}
