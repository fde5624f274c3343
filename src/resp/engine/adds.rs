//! XADD commands in a row, appended together.
//!
//! Who sends many commands at once mostly appends to one stream. Then the lock, the clock, the
//! frame and its checksum are needed once for all of them, and a store whose level is `Always`
//! waits for the disk once. The replies are those that the commands would have had one by one: a
//! batch has the IDs that its entries would have been given within one reading of the clock.
//!
//! The price is that a reader of one entry verifies all of its frame, and that damage takes as
//! many entries: so there are not many in one.
//!
//! Where one by one would make a difference to anybody, it is done one by one: in transactions,
//! with replies switched off, and where somebody is blocked on the stream, who gets what the first
//! command appends and no more.

use super::super::client::Reply;
use super::super::commands::table::{Found, Table};
use super::super::keys;
use super::{Engine, Out};

/// So many commands are run together at most.
pub(crate) const MOST: usize = 16;
/// The same in bytes of what the client sent.
pub(crate) const MOST_BYTES: usize = 4 << 10;

/// Whether a command is one of those that may be run together: XADD with a generated ID and no
/// options.
pub(crate) fn is_plain_add(words: &[&[u8]]) -> bool {
    let [name, _, b"*", fields @ ..] = words else { return false };
    !fields.is_empty() && fields.len().is_multiple_of(2) && name.eq_ignore_ascii_case(b"XADD")
}

impl Engine {
    /// Runs plain XADD commands on one key: `words` are those of all of them, `ends` where each
    /// ends.
    pub(crate) fn execute_adds(&mut self, place: usize, words: &[&[u8]], ends: &[usize]) {
        if ends.len() > 1 && self.add_together(place, words, ends).is_some() {
            return;
        }
        let mut begin = 0;
        for end in ends {
            if self.clients.get(place).is_some_and(|client| !client.dead) {
                self.execute(place, &words[begin..*end]);
            }
            begin = *end;
        }
    }

    /// `None` if they have to be run one by one: nothing was appended, or the failure has stopped
    /// the stream, and each of them is told so.
    fn add_together(&mut self, place: usize, words: &[&[u8]], ends: &[usize]) -> Option<()> {
        let Found::Line(line) = Table::get().find(words) else { return None };
        let key = *words.get(1)?;
        let client = self.clients.get(place)?;
        let db = client.db;
        let alone = client.multi.is_some() || client.reply != Reply::On || !client.trusted;
        if alone || self.space.is_waited(&keys::name(db, key).ok()?) {
            return None;
        }
        self.fill_batch(words, ends)?;
        self.clock.reset();
        self.space.begin_reply();
        // What is made for a batch that is refused would have to go again.
        let stream = self.context(db, true).stream_to_change(key).ok()??;
        let client = self.clients.get_mut(place)?;
        let mut out = std::mem::replace(&mut client.out, Out::new(0));
        (client.last, client.last_line) = (self.now, line);
        let (mark, from) = (out.mark(), out.end());
        let batch = std::mem::take(&mut self.batch);
        let added = stream.append_batch(&batch).ok().flatten();
        if let Some((first, _)) = added {
            self.context(db, true).changed(key, batch.len() as u64);
            let ids = std::iter::successors(Some(first), |id| id.next());
            ids.take(batch.len()).for_each(|id| out.id(id));
            let count = batch.len() as u64;
            self.count_time(line, self.now, count);
            self.stats.of(line).into_iter().for_each(|calls| calls.calls += count);
        }
        self.batch = batch;
        self.finish(place, out, mark, from);
        added.map(|_| self.after_command())
    }

    /// Puts the entries into the batch; `None` if one of them is refused.
    fn fill_batch(&mut self, words: &[&[u8]], ends: &[usize]) -> Option<()> {
        debug_assert!(is_plain_add(words.get(..*ends.first()?)?));
        self.batch.clear();
        let mut begin = 0;
        for end in ends {
            let (pairs, _) = words.get(begin + 3..*end)?.as_chunks::<2>();
            self.batch.push(pairs.iter().map(|[name, value]| (name, value))).ok()?;
            begin = *end;
        }
        Some(())
    }
}
