//! How entries are written into replies: the same in both protocols.

use super::prelude::*;
use crate::entry::EntryRef;
use crate::id::EntryId;

/// An entry: its ID, and names and values in turn.
#[inline]
pub(super) fn entry(out: &mut Out, entry: EntryRef<'_>) {
    out.array(2);
    entry_parts(out, entry);
}

/// The two elements of an entry, for replies that have more of them.
#[inline]
pub(super) fn entry_parts(out: &mut Out, entry: EntryRef<'_>) {
    out.id(entry.id());
    let fields = entry.fields();
    out.array(fields.len() * 2);
    for (name, value) in fields {
        out.bulk(name);
        out.bulk(value);
    }
}

/// A pending entry that is gone, in a history.
pub(super) fn gone(out: &mut Out, id: EntryId) {
    out.array(2);
    out.id(id);
    out.null_array();
}

pub(super) fn ids(out: &mut Out, ids: &[EntryId]) {
    out.array(ids.len());
    for id in ids {
        out.id(*id);
    }
}

/// A list of words as HELP gives it.
pub(super) fn lines(out: &mut Out, lines: &[&str]) {
    out.array(lines.len());
    for line in lines {
        out.simple(line);
    }
}
