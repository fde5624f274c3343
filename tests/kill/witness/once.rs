//! Entries that are appended once, however often they are sent.

use super::{Call, Known, Outcome, text};
use crate::plan::{STREAMS, fields, once};
use crate::report::Op;
use std::collections::{BTreeMap, BTreeSet};
use streamlog::{EntryId, Store, Stream};

/// What was sent, with the ID that it was given.
pub(super) type Sent = BTreeMap<u64, EntryId>;

/// How many calls that were answered are made again.
const AGAIN: usize = 16;

/// Takes in an answer. An entry has one ID for ever, and is new once.
pub(super) fn answered(sent: &mut Sent, token: u64, id: EntryId, new: bool) -> Outcome<()> {
    match sent.insert(token, id) {
        Some(first) if first != id => {
            Err(format!("{token:x} was sent again: {id} and not {first}"))
        }
        _ if new && sent.values().filter(|other| **other == id).count() > 1 => {
            Err(format!("{id} was given to {token:x} and to another one"))
        }
        _ => Ok(()),
    }
}

impl Known {
    /// Sends again what the life has sent: what was answered gets the same answer, and nothing is
    /// appended twice.
    pub(crate) fn send_again(&mut self, store: &Store, calls: &[Call]) -> Outcome<()> {
        for (number, name) in STREAMS.into_iter().enumerate() {
            let of_stream = |call: &&Call| call.op.stream() == Some(number);
            let sent = calls.iter().filter(of_stream).filter_map(|call| match call.op {
                Op::Once { token, .. } => Some((token, call.is_open())),
                _ => None,
            });
            let (open, done): (Vec<_>, Vec<_>) = sent.partition(|(_, open)| *open);
            let some = done.iter().rev().take(AGAIN).chain(&open);
            let tokens: BTreeSet<u64> = some.map(|(token, _)| *token).collect();
            let stream = store.get(name).map_err(text)?;
            let Some(stream) = stream.filter(|_| !tokens.is_empty()) else { continue };
            for token in tokens {
                let again = self.send_one(&stream, number, token);
                again.map_err(|what| format!("{name}: {what}"))?;
            }
        }
        Ok(())
    }

    fn send_one(&mut self, stream: &Stream, number: usize, token: u64) -> Outcome<()> {
        let before = stream.info().map_err(text)?.entries_added;
        let appended = stream.append_outcome(fields(token), once(token)).map_err(text)?;
        let added = stream.info().map_err(text)?.entries_added - before;
        let seen = &mut self.streams[number];
        let known = seen.sent.insert(token, appended.id);
        let same = known.is_none_or(|id| id == appended.id);
        if !same || (known.is_some() && !appended.duplicate) {
            return Err(format!("{token:x} was {known:?}, and sent again it is {appended:?}"));
        }
        if added != u64::from(!appended.duplicate) {
            return Err(format!("{appended:?} has appended {added} entries"));
        }
        if !appended.duplicate {
            seen.entries.insert(appended.id, token);
            seen.last_id = appended.id;
            seen.added += 1;
        }
        Ok(())
    }
}
