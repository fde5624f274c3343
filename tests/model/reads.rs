//! Plays reads without a group.

use std::ops::Bound;
use streamlog::{Batch, EntryId, ReadOptions};

use crate::naive::{Fields, NaiveEntry};
use crate::op::{Begin, Edge, Pick};
use crate::run::{Checked, Kept, Run, good, holds, plain, same};

type Bounds = (Bound<EntryId>, Bound<EntryId>);

fn bound(run: &Run, stream: usize, edge: Edge) -> Bound<EntryId> {
    match edge {
        Edge::Open => Bound::Unbounded,
        Edge::With(pick) => Bound::Included(run.pick(stream, pick)),
        Edge::Without(pick) => Bound::Excluded(run.pick(stream, pick)),
    }
}

pub(crate) fn bounds(run: &Run, stream: usize, (from, to): (Edge, Edge)) -> Bounds {
    (bound(run, stream, from), bound(run, stream, to))
}

/// Whether an ID lies in a range whose ends may be the wrong way round.
pub(crate) fn within(id: EntryId, (from, to): Bounds) -> bool {
    let above = match from {
        Bound::Unbounded => true,
        Bound::Included(first) => id >= first,
        Bound::Excluded(first) => id > first,
    };
    let below = match to {
        Bound::Unbounded => true,
        Bound::Included(last) => id <= last,
        Bound::Excluded(last) => id < last,
    };
    above && below
}

/// The bytes of the names and values.
pub(crate) fn size(fields: &Fields) -> usize {
    fields.iter().map(|(name, value)| name.len() + value.len()).sum()
}

impl Run {
    pub(crate) fn get(&mut self, stream: usize, id: Pick) -> Checked {
        let Some(handle) = self.stream(stream)? else {
            return Ok(());
        };
        let id = self.pick(stream, id);
        let found = good("get", handle.get(id))?.map(|entry| plain(&entry));
        let wanted = self.model(stream).entries.iter().find(|(other, _)| *other == id);
        same("get", found.as_ref(), wanted)
    }

    pub(crate) fn range(&mut self, stream: usize, edges: (Edge, Edge), borrowed: bool) -> Checked {
        let Some(handle) = self.stream(stream)? else {
            return Ok(());
        };
        let bounds = bounds(self, stream, edges);
        let all = self.model(stream).entries.clone();
        let wanted: Vec<_> = all.into_iter().filter(|(id, _)| within(*id, bounds)).collect();
        let snapshot = good("snapshot", handle.snapshot())?;
        let forward: Vec<NaiveEntry> = match borrowed {
            true => snapshot.range(bounds).map(|e| plain(&e.unwrap().to_entry())).collect(),
            false => handle.range(bounds).map(|e| plain(&e.unwrap())).collect(),
        };
        same("range", &forward, &wanted)?;
        let mut back: Vec<NaiveEntry> = match borrowed {
            true => snapshot.range(bounds).rev().map(|e| plain(&e.unwrap().to_entry())).collect(),
            false => handle.range(bounds).rev().map(|e| plain(&e.unwrap())).collect(),
        };
        back.reverse();
        same("range, backwards", &back, &wanted)?;
        let mut ends = handle.range(bounds);
        for n in 0..wanted.len() {
            let next = if n % 2 == 0 { ends.next() } else { ends.next_back() };
            let at = if n % 2 == 0 { n / 2 } else { wanted.len() - 1 - n / 2 };
            let next = next.map(|entry| plain(&entry.unwrap()));
            same("range, from both ends", next.as_ref(), wanted.get(at))?;
        }
        holds("range, from both ends, goes on", ends.next().is_none(), wanted.len())
    }

    pub(crate) fn snapshot(&mut self, stream: usize) -> Checked {
        let Some(handle) = self.stream(stream)? else {
            return Ok(());
        };
        let snapshot = good("snapshot", handle.snapshot())?;
        let opening = self.opening;
        let model = self.model(stream);
        let (entries, number) = (model.entries.clone(), model.number);
        let shared_to = EntryId::MAX;
        self.snapshots.push(Kept { snapshot, entries, number, opening, shared_to });
        Ok(())
    }

    pub(crate) fn look(&self, which: u8) -> Checked {
        let Some(last) = self.snapshots.len().checked_sub(1) else {
            return Ok(());
        };
        look_at(&self.snapshots[usize::from(which) % (last + 1)])
    }

    pub(crate) fn read(
        &mut self,
        from: &[(usize, Begin)],
        count: u8,
        bytes: u16,
        many: bool,
    ) -> Checked {
        let mut handles = Vec::new();
        for (stream, begin) in from {
            if let Some(handle) = self.stream(*stream)? {
                let (start, after) = self.begin(*stream, *begin);
                handles.push((handle, start, after, *stream));
            }
        }
        let (count, bytes) = (usize::from(count), usize::from(bytes));
        let options = ReadOptions::new().count(count).bytes(bytes);
        let found: Vec<(Vec<u8>, Vec<NaiveEntry>)> = match (many, handles.first()) {
            (_, None) => return Ok(()),
            (false, Some((handle, start, ..))) => {
                let batch = good("read", handle.read(*start, options))?;
                let entries: Vec<_> = batch.into_entries().iter().map(plain).collect();
                vec![(handle.name(), entries)].into_iter().filter(|f| !f.1.is_empty()).collect()
            }
            (true, _) => {
                let from: Vec<_> = handles.iter().map(|(h, start, ..)| (h, *start)).collect();
                let found = good("read of several", self.store().read(&from, options))?;
                let entries = |batch: Batch| batch.iter().map(|e| plain(&e.to_entry())).collect();
                found.into_iter().map(|(stream, batch)| (stream.name(), entries(batch))).collect()
            }
        };
        let most = if count == 0 { usize::MAX } else { count };
        let mut wanted = Vec::new();
        for (handle, _, after, stream) in &handles {
            let entries =
                self.model(*stream).entries.iter().filter(|(id, _)| id > after).take(most);
            let entries: Vec<NaiveEntry> = entries.cloned().collect();
            if !entries.is_empty() {
                wanted.push((handle.name(), entries));
            }
        }
        let got: usize = found.iter().map(|(_, entries)| entries.len()).sum();
        check_bytes(&wanted, got, bytes)?;
        same("read", found, first_of(wanted, got))
    }
}

/// A snapshot shows what it showed.
pub(crate) fn look_at(kept: &Kept) -> Checked {
    let forward: Vec<NaiveEntry> =
        kept.snapshot.range(..).map(|entry| plain(&entry.unwrap().to_entry())).collect();
    same("a snapshot", &forward, &kept.entries)?;
    let back = kept.snapshot.range(..).rev().map(|entry| entry.unwrap().id());
    let wanted = kept.entries.iter().rev().map(|(id, _)| *id);
    holds("a snapshot, backwards", back.eq(wanted), &forward)
}

/// The first so many entries over all streams; streams of which nothing is left are left out.
fn first_of(
    lists: Vec<(Vec<u8>, Vec<NaiveEntry>)>,
    mut count: usize,
) -> Vec<(Vec<u8>, Vec<NaiveEntry>)> {
    let mut first = Vec::new();
    for (name, mut entries) in lists {
        entries.truncate(count);
        count -= entries.len();
        if !entries.is_empty() {
            first.push((name, entries));
        }
    }
    first
}

/// A read ends with the entry that reaches so many bytes, and with no other. What an entry takes is
/// its names and values and a little more.
pub(crate) fn check_bytes(
    lists: &[(Vec<u8>, Vec<NaiveEntry>)],
    got: usize,
    bytes: usize,
) -> Checked {
    let entries: Vec<&NaiveEntry> = lists.iter().flat_map(|(_, entries)| entries).collect();
    holds("more than there is", got <= entries.len(), got)?;
    if bytes == 0 {
        return same("how many were read", got, entries.len());
    }
    let least = |count: usize| -> usize {
        entries.iter().take(count).map(|(_, fields)| size(fields)).sum()
    };
    let most = |count: usize| -> usize {
        let one = |fields: &Fields| size(fields) + 16 + 16 * fields.len();
        entries.iter().take(count).map(|(_, fields)| one(fields)).sum()
    };
    holds("read on above the bytes", got == 0 || least(got - 1) < bytes, got)?;
    holds("stopped below the bytes", got == entries.len() || most(got) >= bytes, got)
}
