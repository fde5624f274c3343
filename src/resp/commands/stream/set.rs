//! XSETID.

use super::args::{Parsed, id, int, is, refused};
use super::prelude::*;
use crate::error::{Error, ErrorKind};
use crate::id::EntryId;

/// The words of XSETID behind the key.
fn read(words: &[&[u8]]) -> Parsed<(EntryId, Option<u64>, Option<EntryId>)> {
    let [last, left @ ..] = words else {
        return Err(Refusal::SYNTAX);
    };
    let last = id(last)?;
    let (mut added, mut deleted) = (None, None);
    let mut left = left;
    while !left.is_empty() {
        match left {
            [word, value, rest @ ..] if is(word, "ENTRIESADDED") => {
                let Ok(value) = u64::try_from(int(value)?) else {
                    return refused("ERR entries_added must be positive");
                };
                added = Some(value);
                left = rest;
            }
            [word, value, rest @ ..] if is(word, "MAXDELETEDID") => {
                let value = id(value)?;
                if last < value {
                    return refused(BELOW_GIVEN);
                }
                deleted = Some(value);
                left = rest;
            }
            _ => return Err(Refusal::SYNTAX),
        }
    }
    Ok((last, added, deleted))
}

const BELOW_GIVEN: &str =
    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id";
const BELOW_CURRENT: &str =
    "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id";
const BELOW_TOP: &str = "ERR The ID specified in XSETID is smaller than the target stream top item";
const FEW_ADDED: &str =
    "ERR The entries_added specified in XSETID is smaller than the target stream length";

/// Redis's texts for the library's reasons.
fn refusal(error: Error) -> Refusal {
    match error.kind() {
        ErrorKind::SetIdTooSmall { reason } if reason.contains("given") => Refusal::of(BELOW_GIVEN),
        ErrorKind::SetIdTooSmall { reason } if reason.contains("max-deleted") => {
            Refusal::of(BELOW_CURRENT)
        }
        ErrorKind::SetIdTooSmall { reason } if reason.contains("top") => Refusal::of(BELOW_TOP),
        ErrorKind::SetIdTooSmall { .. } => Refusal::of(FEW_ADDED),
        _ => error.into(),
    }
}

/// XSETID.
pub(crate) fn xsetid(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, words @ ..] = args else {
        return Err(Refusal::arity("xsetid"));
    };
    let (last, added, deleted) = read(words)?;
    let Some(stream) = context.stream(key)? else {
        return Err(Refusal::NO_SUCH_KEY);
    };
    stream.set_id(last, added, deleted).map_err(refusal)?;
    context.group_changed(key, 1);
    out.ok();
    Ok(Done::Replied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_names() {
        let of = |line: &str| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            read(&words).map_err(|refusal| refusal.0.into_owned())
        };
        let (one, two) = (EntryId::new(1, 0), EntryId::new(2, 0));
        assert_eq!(of("2 MAXDELETEDID 1 ENTRIESADDED 5"), Ok((two, Some(5), Some(one))));
        assert_eq!(of("1 0").unwrap_err(), Refusal::SYNTAX.0);
        assert_eq!(of("1 ENTRIESADDED").unwrap_err(), Refusal::SYNTAX.0);
        assert_eq!(of("1 ENTRIESADDED -1").unwrap_err(), "ERR entries_added must be positive");
        assert_eq!(of("1 MAXDELETEDID 2").unwrap_err(), BELOW_GIVEN);
        assert_eq!(of("+").unwrap_err(), Refusal::INVALID_ID.0);
    }
}
