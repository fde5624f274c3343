//! Which streams the newest records changed: what a record tells of those before it.
//!
//! Each tells of the one before it, so that a single lost record is known. Now and then one tells
//! of many, as the medium loses whole blocks; such a list reaches back to the last but one, because
//! the last one may be lost too.

use super::last::Last;
use crate::format::record::Before;

/// A long list is due after so many bytes of records: more than a block of any medium.
const LIST_EVERY: u64 = 8 << 10;

/// The newest records of this process.
#[derive(Debug)]
pub(super) struct Recent {
    /// The streams that the very last one changed.
    newest: Vec<u64>,
    /// Where the last but one interval between two lists begins, and the running one.
    begins: [u64; 2],
    /// The streams that were changed in either, each once.
    changed: [Vec<u64>; 2],
    /// The length of the records in the running interval.
    bytes: u64,
}

impl Recent {
    /// For a process whose first record has this number.
    pub(super) fn new(next: u64) -> Recent {
        Recent {
            newest: Vec::new(),
            begins: [next; 2],
            changed: [Vec::new(), Vec::new()],
            bytes: 0,
        }
    }

    /// What the record `next`, which changes these streams, tells. `last`: of each stream.
    pub(super) fn before(&self, next: u64, changes: impl Fn(u64) -> bool, last: &Last) -> Before {
        if self.bytes >= LIST_EVERY {
            return self.list(next, changes, last);
        }
        let first = next == self.begins[0];
        let changed = self.newest.iter().filter(|stream| !changes(**stream));
        Before {
            reach: u64::from(!first),
            changed: changed.map(|stream| (*stream, next - 1)).collect(),
        }
    }

    /// Whether the record `next`, which changes this stream alone, tells of just one record, which
    /// did so too.
    #[inline]
    pub(super) fn goes_on(&self, next: u64, stream: u64) -> bool {
        self.bytes < LIST_EVERY && next != self.begins[0] && *self.newest == [stream]
    }

    /// [`Recent::note`] for a record of which that was so.
    #[inline]
    pub(super) fn note_next(&mut self, (stream, before): (u64, u64), len: u64) {
        self.bytes += len;
        if before < self.begins[1] {
            self.changed[1].push(stream);
        }
    }

    /// As much as is known.
    pub(super) fn list(&self, next: u64, changes: impl Fn(u64) -> bool, last: &Last) -> Before {
        let record = |stream: &u64| last.get(*stream);
        let [earlier, running] = &self.changed;
        let earlier = earlier.iter().filter(|stream| record(stream) < self.begins[1]);
        let changed = earlier.chain(running).filter(|stream| !changes(**stream));
        Before {
            reach: next - self.begins[0],
            changed: changed.map(|stream| (*stream, record(stream))).collect(),
        }
    }

    /// Takes in a record of `len` bytes that was just written: the streams that it changed, each
    /// with the record that did before it, 0 for none.
    pub(super) fn note(
        &mut self,
        number: u64,
        streams: impl Iterator<Item = (u64, u64)>,
        len: u64,
    ) {
        if self.bytes >= LIST_EVERY {
            let [earlier, running] = &mut self.changed;
            *earlier = std::mem::take(running);
            self.begins = [self.begins[1], number];
            self.bytes = 0;
        }
        self.bytes += len;
        self.newest.clear();
        for (stream, before) in streams {
            self.newest.push(stream);
            if before < self.begins[1] {
                self.changed[1].push(stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Records of random streams and lengths, and what each tells.
    fn told(seed: u64) -> Vec<(Vec<u64>, u64, Before)> {
        let mut random = seed;
        let mut below = |end: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % end
        };
        let mut recent = Recent::new(1);
        let mut last = Last::default();
        let mut records = Vec::new();
        for number in 1..400 {
            // Some streams change often, others now and then.
            let stream = number / (1 + below(40)) % 5;
            let mut streams = vec![stream];
            if below(10) == 0 {
                streams.push(10 + below(3));
            }
            let len = 24 + below(400);
            let before = recent.before(number, |stream| streams.contains(&stream), &last);
            let brief = streams.len() == 1 && recent.goes_on(number, stream);
            assert_eq!(brief, streams.len() == 1 && before == Before { reach: 1, changed: vec![] });
            match brief {
                true => recent.note_next((stream, last.set(stream, number)), len),
                false => {
                    recent.note(number, streams.iter().map(|s| (*s, last.set(*s, number))), len);
                }
            }
            records.push((streams, len, before));
        }
        records
    }

    /// Fails if either interval is left out of a list, or what is in both is told twice.
    #[test]
    fn each_record_tells_who_changed_within_its_reach() {
        for seed in 0..50 {
            let records = told(seed);
            for (n, (streams, _, before)) in records.iter().enumerate() {
                let first = n - usize::try_from(before.reach).unwrap();
                let mut expected = HashMap::new();
                for (n, (streams, ..)) in records.iter().enumerate().take(n).skip(first) {
                    expected.extend(streams.iter().map(|stream| (*stream, n as u64 + 1)));
                }
                expected.retain(|stream, _| !streams.contains(stream));
                let found: HashMap<u64, u64> = before.changed.iter().copied().collect();
                assert_eq!(found, expected, "record {} of {seed}", n + 1);
                assert_eq!(before.changed.len(), found.len());
                assert_eq!(before.reach == 0, n == 0);
            }
        }
    }

    /// Fails if a list reaches back to the last one only.
    #[test]
    fn whatever_is_lost_in_one_block_is_told_of_behind_it() {
        let records = told(7);
        let reaches = |n: usize| n - usize::try_from(records[n].2.reach).unwrap();
        for first in 0..300 {
            let mut bytes = 0;
            let mut behind = first;
            while bytes + records[behind].1 <= LIST_EVERY {
                bytes += records[behind].1;
                behind += 1;
            }
            assert!((behind..records.len()).any(|n| reaches(n) <= first), "{first}..{behind}");
        }
    }
}
