//! What is left of a read's limits over all of its streams.

use crate::entry::EntryRef;
use crate::error::Result;
use crate::few::Few;
use crate::id::EntryId;
use crate::options::{ReadOptions, ReplyFormat};
use crate::storage::cursor::{Forward, Place, Span};

/// For so many entries there is room at once.
const MOST_EXPECTED: usize = 128;

/// What is left of a read's limits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Budget {
    /// The most entries of each stream.
    count: Option<usize>,
    /// The most of all of them.
    most: Option<usize>,
    bytes: Option<usize>,
    /// What bytes are counted; `None`: those of field lists.
    format: Option<ReplyFormat>,
    /// Bytes handed out so far.
    spent: usize,
    /// Bytes that go out in front of the next entry: what a stream of the reply begins with.
    head: usize,
    /// Entries handed out so far.
    given: usize,
}

impl Budget {
    pub(crate) fn of(options: &ReadOptions) -> Budget {
        let ReadOptions { count, most, bytes, format, block: _ } = *options;
        Budget { count, most, bytes, format, ..Budget::default() }
    }

    /// So many entries of a stream, and no other limit.
    pub(crate) fn of_count(count: Option<usize>) -> Budget {
        Budget { count, ..Budget::default() }
    }

    /// No more than one entry of the next stream, be its count what it may.
    pub(crate) fn of_one(self) -> Budget {
        Budget { count: Some(1), ..self }
    }

    /// Takes in what was spent under another count.
    pub(crate) fn take_in(&mut self, other: Budget) {
        *self = Budget { count: self.count, ..other };
    }

    /// Whether there is one entry of a stream at the most, and nothing else is limited.
    #[inline]
    pub(crate) fn is_for_one(&self) -> bool {
        self.count == Some(1) && self.most.is_none() && self.bytes.is_none()
    }

    /// One entry is handed out of a stream, where no bytes count.
    #[inline]
    pub(crate) fn spend_one(&mut self) {
        self.given += 1;
    }

    /// Whether no stream gets anything any more.
    pub(crate) fn is_spent(&self) -> bool {
        self.most.is_some_and(|most| self.given >= most)
            || self.bytes.is_some_and(|bytes| self.given > 0 && self.spent >= bytes)
    }

    /// Whether there is room for one more entry of a stream that has got so many already.
    pub(crate) fn has_room(&self, taken: usize) -> bool {
        self.count.is_none_or(|count| taken < count) && !self.is_spent()
    }

    /// How many entries of a stream there is room for at the most, where it has got so many.
    pub(crate) fn room(&self, taken: usize) -> usize {
        let count = self.count.map_or(usize::MAX, |count| count.saturating_sub(taken));
        count.min(self.most.map_or(usize::MAX, |most| most.saturating_sub(self.given)))
    }

    /// An entry is handed out. `claimed`: how long it was idle and how often it was delivered, if
    /// the reply tells that.
    pub(crate) fn spend(&mut self, span: &Span, place: &Place, claimed: Option<(u64, u64)>) {
        self.given += 1;
        if self.bytes.is_some() {
            self.spent += match self.format {
                None => place.len as usize,
                Some(_) => {
                    let entry = EntryRef::new(place.id, span.list(place));
                    std::mem::take(&mut self.head) + of_entry(&entry, claimed)
                }
            };
        }
    }

    /// An entry that is gone is told of.
    pub(crate) fn spend_missing(&mut self, id: EntryId) {
        self.given += 1;
        if let (Some(format), true) = (self.format, self.bytes.is_some()) {
            let null = if format.resp3 { 3 } else { 5 };
            self.spent += std::mem::take(&mut self.head) + HEAD + of_id(id) + null;
        }
    }

    /// What follows is of a stream of this name.
    pub(crate) fn begin_stream(&mut self, name: impl FnOnce() -> Vec<u8>) {
        if let (Some(format), true) = (self.format, self.bytes.is_some()) {
            let name = name().len().saturating_sub(format.name_prefix);
            let pair = if format.resp3 { 0 } else { HEAD };
            self.head = pair + of_bytes(name);
        }
    }

    /// So many entries it were; only now is their number known.
    pub(crate) fn end_stream(&mut self, entries: usize) {
        if let (Some(_), true) = (self.format, self.bytes.is_some()) {
            self.spent += std::mem::take(&mut self.head) + of_number(entries as u64);
        }
    }

    /// Reads live entries above `after`, as many as the limits allow. `true` besides if there is
    /// another one behind them.
    pub(crate) fn take(&mut self, span: &Span, after: EntryId) -> Result<(Few<Place>, bool)> {
        let mut places = Few::default();
        let more = match after.next() {
            Some(from) => self.take_on(span, &mut Forward::seek(span, from), &mut places, false)?,
            None => false,
        };
        Ok((places, more))
    }

    /// The same from where a walk is, behind what the stream has got already. `told`: the reply
    /// tells how often each was delivered.
    pub(crate) fn take_on(
        &mut self,
        span: &Span,
        forward: &mut Forward,
        places: &mut Few<Place>,
        told: bool,
    ) -> Result<bool> {
        let before = places.len();
        let room = self.room(before);
        // So many as a rule, if there is one at all.
        if before == 0 {
            *places = Few::with_capacity(self.count.unwrap_or(0).min(room).min(MOST_EXPECTED));
        }
        if self.bytes.is_none() {
            let more = fill(span, forward, places, room);
            self.given += places.len() - before;
            return more;
        }
        let claimed = told.then_some((0, 0));
        loop {
            if self.is_spent() {
                return Ok(true);
            }
            let len = places.len();
            let left = room.saturating_sub(len - before);
            let more = fill(span, forward, places, left.min(1))?;
            match places.get(len) {
                Some(place) => self.spend(span, place, claimed),
                None => return Ok(more),
            }
        }
    }
}

/// Takes up to so many entries. `true` if there may be another one.
fn fill(span: &Span, forward: &mut Forward, places: &mut Few<Place>, room: usize) -> Result<bool> {
    let mut reading = span.reading();
    let before = places.len();
    loop {
        if places.len() - before >= room {
            return Ok(true);
        }
        match forward.next(&mut reading) {
            Ok(Some(place)) => places.push(place),
            Ok(None) => return Ok(false),
            // What lies in front of damage is given; the next look meets it.
            Err(_) if !places.is_empty() => return Ok(true),
            Err(error) => return Err(error),
        }
    }
}

/// The head of an array of less than ten.
const HEAD: usize = 4;

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// A number, or the head of an array.
fn of_number(number: u64) -> usize {
    1 + digits(number) + 2
}

fn of_bytes(len: usize) -> usize {
    of_number(len as u64) + len + 2
}

fn of_id(id: EntryId) -> usize {
    of_bytes(digits(id.ms) + 1 + digits(id.seq))
}

fn of_entry(entry: &EntryRef<'_>, claimed: Option<(u64, u64)>) -> usize {
    let told = claimed.map_or(0, |(idle, count)| of_number(idle) + of_number(count));
    let (mut number, mut fields) = (0, 0);
    for (name, value) in entry.fields() {
        number += 2;
        fields += of_bytes(name.len()) + of_bytes(value.len());
    }
    HEAD + of_id(entry.id()) + of_number(number) + fields + told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Start, Store};

    /// Against replies that are written out.
    #[test]
    fn the_bytes_of_a_reply_are_counted_as_they_are() {
        let store = Store::in_memory().unwrap();
        let stream = store.stream("mystream").unwrap();
        let options = crate::AppendOptions::new().id(EntryId::new(1, 0));
        stream.append_with([("f", "v1"), ("a longer name", "")], options).unwrap();
        let entry = stream.get(EntryId::new(1, 0)).unwrap().unwrap();
        let plain = "*2\r\n$3\r\n1-0\r\n*4\r\n$1\r\nf\r\n$2\r\nv1\r\n\
            $13\r\na longer name\r\n$0\r\n\r\n";
        assert_eq!(of_entry(&entry.as_ref(), None), plain.len());
        let told = ":1000\r\n:2\r\n";
        assert_eq!(of_entry(&entry.as_ref(), Some((1000, 2))), plain.len() + told.len());
        let format = ReplyFormat::resp2().name_prefix(2);
        let options = ReadOptions::new().max_size_in(1, format);
        let mut budget = Budget::of(&options);
        budget.begin_stream(|| b"mystream".to_vec());
        assert_eq!(budget.spent, 0, "a stream that gives nothing is not named");
        budget.spend_missing(EntryId::new(1, 0));
        let gone = "*2\r\n$6\r\nstream\r\n*2\r\n$3\r\n1-0\r\n*-1\r\n".len();
        assert_eq!(budget.spent, gone);
        budget.end_stream(12);
        assert_eq!(budget.spent, gone + "*12\r\n".len());
        assert!(budget.is_spent());
        assert!(stream.read(Start::First, options).unwrap().len() == 1);
    }
}
