//! The witness: knows what the child said, looks at the store that the child left, and finds what
//! the contract for a killed process does not allow.
//!
//! It shares no code with the crate: entries are known by the number they were announced under,
//! and everything else follows from the lines and from what the store held before the child began.
//! A call whose `done` line is missing may have had its effect or none; of one with several parts,
//! all or nothing.

mod counts;
mod entries;
mod groups;
mod once;
mod policies;

use crate::plan::{
    BALLAST, BALLAST_CONSUMERS, BALLAST_GROUP, GROUPS, STREAMS, ballast_consumer, check_entry,
};
use crate::report::{Done, Line, Op};
use std::collections::{BTreeMap, BTreeSet};
use streamlog::{EntryId, PendingFilter, Store, Stream};

type Outcome<T> = Result<T, String>;

/// One call of the child. `intent` and `done` are the numbers of its lines: a call whose `done`
/// comes before another one's `intent` was over when the other one began.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) op: Op,
    pub(crate) intent: usize,
    pub(crate) done: Option<(usize, Done)>,
}

impl Call {
    fn end(&self) -> usize {
        self.done.as_ref().map_or(usize::MAX, |(line, _)| *line)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.done.is_none()
    }
}

/// The calls of a life, in the order of their intents, and whether the streams exist.
pub(crate) fn calls(lines: &[Line]) -> Outcome<(Vec<Call>, bool)> {
    let mut calls: Vec<Call> = Vec::new();
    let mut running: BTreeMap<u64, usize> = BTreeMap::new();
    let mut ready = false;
    for (line, what) in lines.iter().enumerate() {
        match what {
            Line::Ready => ready = true,
            Line::Aimed { .. } => {}
            Line::Broken(what) => return Err(format!("the child says: {what}")),
            Line::Intent { thread, op } => {
                running.insert(*thread, calls.len());
                calls.push(Call { op: op.clone(), intent: line, done: None });
            }
            Line::Done { thread, done } => {
                let call = running.remove(thread).ok_or("a done without an intent")?;
                calls[call].done = Some((line, done.clone()));
            }
        }
    }
    Ok((calls, ready))
}

/// In the place of a consumer: what was given back belongs to the group.
const NOBODY: u64 = u64::MAX;

/// What a store held when it was last opened, as far as later lives must keep to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    streams: Vec<StreamSeen>,
    ballast: BTreeSet<Vec<u8>>,
    ready: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct StreamSeen {
    entries: BTreeMap<EntryId, u64>,
    last_id: EntryId,
    added: u64,
    groups: Vec<GroupSeen>,
    /// What was to be appended once, as far as it is known to have been.
    sent: once::Sent,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct GroupSeen {
    cursor: EntryId,
    /// Who has it, or [`NOBODY`], and how often it was delivered.
    pending: BTreeMap<EntryId, (u64, u64)>,
    /// What the witness knows to be acknowledged.
    acked: BTreeSet<EntryId>,
}

impl Known {
    /// How many entries live.
    pub(crate) fn entries(&self) -> usize {
        self.streams.iter().map(|stream| stream.entries.len()).sum()
    }

    /// Looks at the store, compares it with what must be, and gives what is known from now on.
    pub(crate) fn check(&self, store: &Store, calls: &[Call], ready: bool) -> Outcome<Known> {
        let ready = ready || self.ready;
        let health = store.health();
        if let Some(cause) = health.poisoned {
            return Err(format!("the store is poisoned: {cause}"));
        }
        let mut next = Known { ready, ..Known::default() };
        for (number, name) in STREAMS.into_iter().enumerate() {
            let before = self.streams.get(number).cloned().unwrap_or_default();
            let seen = look(store, name, ready).map_err(|what| format!("{name}: {what}"))?;
            let of_stream: Vec<&Call> =
                calls.iter().filter(|call| call.op.stream() == Some(number)).collect();
            let checked = entries::check(&before, &of_stream, &seen).and_then(|(sent, gone)| {
                Ok((sent, groups::check(&before, &of_stream, &seen, &gone)?))
            });
            let (sent, groups) = checked.map_err(|what| format!("{name}: {what}"))?;
            next.streams.push(StreamSeen { groups, sent, ..seen });
        }
        next.ballast = self.check_ballast(store, calls)?;
        Ok(next)
    }

    /// Opened once more, the store must be just as it was.
    pub(crate) fn check_same(&self, store: &Store) -> Outcome<()> {
        let again = self.check(store, &[], self.ready)?;
        for (now, then) in again.streams.iter().zip(&self.streams) {
            let added = (now.added, now.last_id) == (then.added, then.last_id);
            if now.entries != then.entries || !added {
                return Err("the second opening shows other entries than the first".into());
            }
            if now.groups != then.groups {
                return Err("the second opening shows other groups than the first".into());
            }
        }
        Ok(())
    }

    fn check_ballast(&self, store: &Store, calls: &[Call]) -> Outcome<BTreeSet<Vec<u8>>> {
        let group = match store.get(BALLAST).map_err(text)? {
            Some(stream) => stream.get_group(BALLAST_GROUP).map_err(text)?,
            None => None,
        };
        let Some(group) = group else {
            if !self.ballast.is_empty() {
                return Err("the ballast is gone".into());
            }
            return Ok(BTreeSet::new());
        };
        let consumers = group.consumers().map_err(text)?;
        let found: BTreeSet<Vec<u8>> = consumers.into_iter().map(|c| c.name).collect();
        let (mut allowed, mut open) = (self.ballast.clone(), 0);
        for call in calls.iter().filter(|call| call.is_open()) {
            if let Op::Ballast { life, call } = call.op {
                let names = (0..BALLAST_CONSUMERS).map(|n| ballast_consumer(life, call, n));
                allowed.extend(names.map(String::into_bytes));
                open += 1;
            }
        }
        if !self.ballast.is_subset(&found) {
            return Err("a consumer of the ballast is gone".into());
        }
        // Each call that was killed has left one at most.
        if !found.is_subset(&allowed) || found.len() > self.ballast.len() + open {
            let back: Vec<_> = found.difference(&self.ballast).map(|name| short(name)).collect();
            let known = self.ballast.len();
            return Err(format!(
                "removed consumers of the ballast are back: {back:?}, {known} known"
            ));
        }
        Ok(found)
    }
}

fn text(error: streamlog::Error) -> String {
    error.to_string()
}

/// What the store shows of a stream.
fn look(store: &Store, name: &str, ready: bool) -> Outcome<StreamSeen> {
    let Some(stream) = store.get(name).map_err(text)? else {
        return if ready { Err("the stream is gone".into()) } else { Ok(StreamSeen::default()) };
    };
    let mut seen = StreamSeen::default();
    let mut last = EntryId::MIN;
    for entry in stream.range(..) {
        let entry = entry.map_err(text)?;
        if entry.id() <= last {
            return Err(format!("{} follows {last}", entry.id()));
        }
        last = entry.id();
        seen.entries.insert(last, check_entry(entry.as_ref())?);
    }
    let back: Result<Vec<_>, _> = stream.range(..).rev().map(|e| Ok(e?.id())).collect();
    if !back.map_err(text)?.iter().eq(seen.entries.keys().rev()) {
        return Err("read backwards it has other entries".into());
    }
    let info = stream.info().map_err(text)?;
    if info.length != seen.entries.len() as u64 || info.last_id < last {
        return Err(format!(
            "length {} and last ID {} for {} entries up to {last}",
            info.length,
            info.last_id,
            seen.entries.len()
        ));
    }
    seen.last_id = info.last_id;
    seen.added = info.entries_added;
    for group in GROUPS {
        let found = look_at_group(&stream, group, ready);
        seen.groups.push(found.map_err(|what| format!("{group}: {what}"))?);
    }
    Ok(seen)
}

fn look_at_group(stream: &Stream, name: &str, ready: bool) -> Outcome<GroupSeen> {
    let mut seen = GroupSeen::default();
    let Some(group) = stream.get_group(name).map_err(text)? else {
        return if ready { Err("the group is gone".into()) } else { Ok(seen) };
    };
    let info = group.info().map_err(text)?;
    seen.cursor = info.last_delivered_id;
    let pending = group.pending_range(.., PendingFilter::new());
    for record in pending.map_err(text)? {
        let owner = match std::str::from_utf8(&record.consumer) {
            Ok("") if record.unowned => Some(NOBODY),
            Ok(name) => name.strip_prefix('c').and_then(|number| number.parse().ok()),
            Err(_) => None,
        };
        let owner = owner.ok_or("an unknown consumer")?;
        let record = (record.id, (owner, record.deliveries));
        if seen.pending.insert(record.0, record.1).is_some() {
            return Err(format!("{} is pending twice", record.0));
        }
    }
    let mut counted = 0;
    for consumer in group.consumers().map_err(text)? {
        let own = PendingFilter::new().consumer(&consumer.name);
        let own = group.pending_range(.., own).map_err(text)?;
        if own.len() as u64 != consumer.pending {
            return Err("a consumer's count of pending entries is wrong".into());
        }
        counted += own.len();
    }
    counted += seen.pending.values().filter(|(owner, _)| *owner == NOBODY).count();
    if counted != seen.pending.len() || info.pending != counted as u64 {
        return Err(format!(
            "{counted} entries are pending for consumers, {} for the group",
            seen.pending.len()
        ));
    }
    Ok(seen)
}

/// Without the dashes that make it long.
fn short(name: &[u8]) -> String {
    String::from_utf8_lossy(name).trim_end_matches('-').to_owned()
}
