//! The operations on a real Redis 7.0.15, brought to the reference where 7.0.15 deviates.
//!
//! Every adjustment goes through `deviations.rs` and is counted, so that a list that is longer
//! than the truth can be noticed.

use crate::counters::{Counts, Rules};
use crate::deviations as dev;
use crate::op::{AddId, Fields, Name, Op};
use crate::redis_parse as parse;
use crate::reply::{Class, GroupRow, Item, Reply, Side};
use crate::resp::{Client, Value};
use std::collections::BTreeMap;
use streamlog::{EntryId, ReadFrom};

#[path = "redis_side/nodes.rs"]
mod nodes;

/// Holds a copy of a stream while a batch is tried on it.
const SCRATCH: &[u8] = b"\xfebefore the batch";

pub(crate) struct RedisSide {
    client: Client,
    nodes: BTreeMap<Vec<u8>, nodes::Nodes>,
    /// How often each deviation was met.
    pub(crate) met: BTreeMap<&'static str, u64>,
}

/// What a group's counters were, and are to be by each set of rules.
struct Counter {
    counts: Counts,
    cursor: EntryId,
    old: Option<i64>,
    new: Option<i64>,
}

impl RedisSide {
    pub(crate) fn new(client: Client) -> RedisSide {
        RedisSide { client, nodes: BTreeMap::new(), met: BTreeMap::new() }
    }

    fn met(&mut self, deviation: &'static str) {
        *self.met.entry(deviation).or_default() += 1;
    }

    fn plain(&mut self, op: &Op) -> Reply {
        let value = self.client.call(&op.words());
        let wrapped = |row: &Value| parse::signed(&parse::list(row)[3]) < 0;
        if let (Op::PendingRange { .. }, Value::Array(rows)) = (op, &value)
            && rows.iter().any(wrapped)
        {
            self.met(dev::DELIVERIES_SATURATE);
        }
        parse::reply(op, value)
    }

    fn ask(&mut self, words: &[&[u8]]) -> Value {
        self.client.ask(words)
    }

    /// The stream's counters; `None` if there is no such stream.
    fn counts(&mut self, key: &[u8]) -> Option<Counts> {
        match self.ask(&[b"XINFO", b"STREAM", key]) {
            Value::Error(_) => None,
            map => Some(parse::counts(&map)),
        }
    }

    fn raw_groups(&mut self, key: &[u8]) -> Vec<parse::RawGroup> {
        match self.ask(&[b"XINFO", b"GROUPS", key]) {
            Value::Error(_) => Vec::new(),
            groups => parse::groups(&groups),
        }
    }

    /// Sets entries-read and leaves the cursor where it is.
    fn set_entries_read(&mut self, key: &[u8], group: &[u8], cursor: EntryId, to: Option<i64>) {
        let to = to.unwrap_or(-1).to_string();
        let cursor = format!("{}-{}", cursor.ms, cursor.seq);
        let words: [&[u8]; 7] =
            [b"XGROUP", b"SETID", key, group, cursor.as_bytes(), b"ENTRIESREAD", to.as_bytes()];
        assert_eq!(self.ask(&words), Value::Simple("OK".into()));
    }

    fn add(&mut self, op: &Op) -> Reply {
        let Op::Add { key, id, .. } = op else {
            unreachable!("not an XADD: {op:?}");
        };
        let reply = self.add_to_node(op);
        if let Reply::Err(Class::Other(_)) = reply {
            let last = self.counts(key).map_or(EntryId::MIN, |counts| counts.last_id);
            if dev::is_full_millisecond(*id, last, &reply) {
                self.met(dev::FULL_MILLISECOND);
                return Reply::Err(Class::IdNotGreater);
            }
        }
        reply
    }

    /// Several XADD, undone if one of them fails.
    fn batch(&mut self, key: Name, entries: &[(AddId, Fields)]) -> Reply {
        let existed = self.ask(&[b"COPY", key, SCRATCH]) == Value::Int(1);
        let known = self.nodes.get(key).copied();
        let mut ids = Vec::new();
        for (id, fields) in entries {
            let (id, fields) = (*id, fields.clone());
            match self.add(&Op::Add { key, create: true, id, cut: None, fields }) {
                Reply::Ids(new) => ids.extend(new),
                failed => {
                    match existed {
                        true => self.ask(&[b"RENAME", SCRATCH, key]),
                        false => self.ask(&[b"DEL", key]),
                    };
                    self.nodes.insert(key.to_vec(), known.unwrap_or_default());
                    return failed;
                }
            }
        }
        self.ask(&[b"DEL", SCRATCH]);
        match (ids.first(), ids.last()) {
            (Some(first), Some(last)) => Reply::Ids(vec![*first, *last]),
            _ => Reply::Nil,
        }
    }

    /// XGROUP CREATE and SETID.
    fn group_position(&mut self, op: &Op) -> Reply {
        let mut op = op.clone();
        let (Op::GroupCreate { key, entries_read, .. } | Op::GroupSet { key, entries_read, .. }) =
            &mut op
        else {
            unreachable!("not CREATE or SETID: {op:?}");
        };
        if let Some(asked) = entries_read {
            let added = self.counts(key).map_or(0, |counts| counts.added);
            let capped = dev::entries_read_capped(*asked, added);
            if capped != *asked {
                self.met(dev::ENTRIES_READ_CAPPED);
            }
            *asked = capped;
        }
        self.plain(&op)
    }

    fn group_read(&mut self, op: &Op) -> Reply {
        let Op::GroupRead { group, from, .. } = op else {
            unreachable!("not an XREADGROUP: {op:?}");
        };
        let mut counters = BTreeMap::new();
        for (key, _) in from {
            let state = self.raw_groups(key).into_iter().find(|state| state.name == *group);
            if let (Some(state), Some(counts)) = (state, self.counts(key)) {
                let (old, new) = (state.entries_read, state.entries_read);
                counters.insert(*key, Counter { counts, cursor: state.cursor, old, new });
            }
        }
        let reply = self.plain(op);
        match &reply {
            Reply::Streams(streams) => follow(&mut counters, from, streams),
            Reply::Nil => follow(&mut counters, from, &[]),
            _ => return reply,
        }
        for (key, counter) in counters {
            let states = self.raw_groups(key);
            let state = states.iter().find(|state| state.name == *group).unwrap();
            assert_eq!(state.cursor, counter.cursor, "{op}: cursor");
            assert_eq!(
                state.entries_read, counter.old,
                "{op}: 7.0.15's rule is not as stated for {:?}",
                counter.counts
            );
            if counter.new != counter.old {
                self.met(dev::ENTRIES_READ_RULE);
                self.set_entries_read(key, group, counter.cursor, counter.new);
            }
        }
        reply
    }

    /// Creates the consumers that the reference creates.
    fn create_consumers(&mut self, op: &Op, reply: &Reply) {
        if matches!(reply, Reply::Err(_)) {
            return;
        }
        for (key, [group, consumer]) in dev::consumers_that_appear(op) {
            let made = self.ask(&[b"XGROUP", b"CREATECONSUMER", key, group, consumer]);
            if made == Value::Int(1) {
                let creates = dev::redis_creates_the_consumer(op, key, reply);
                assert!(!creates, "{op}: 7.0.15 did not create the consumer: {reply:?}");
                self.met(dev::CONSUMERS_APPEAR);
            }
        }
    }

    fn groups(&mut self, op: &Op, key: Name) -> Reply {
        let value = self.client.call(&op.words());
        if let Value::Error(text) = &value {
            return Reply::Err(parse::class(text));
        }
        let counts = self.counts(key).unwrap();
        let mut rows = Vec::new();
        for group in parse::groups(&value) {
            let (lag, used) = dev::lag(&counts, &group);
            used.into_iter().for_each(|deviation| self.met(deviation));
            rows.push(GroupRow {
                name: group.name,
                consumers: group.consumers,
                pending: group.pending,
                last_delivered: group.cursor,
                entries_read: group.entries_read.map(|read| u64::try_from(read).unwrap()),
                lag,
            });
        }
        Reply::Groups(rows)
    }

    fn set_id(&mut self, op: &Op, key: Name, last: EntryId, added: Option<u64>) -> Reply {
        let counts = self.counts(key);
        if counts.is_some_and(|counts| dev::xsetid_is_refused(last, &counts)) {
            self.met(dev::XSETID_MAX_DELETED);
            return Reply::Err(Class::SetIdTooSmall);
        }
        let reply = self.plain(op);
        if reply == Reply::Ok {
            self.was_set(key, last, counts.map_or(0, |counts| counts.length));
        }
        if let (Reply::Ok, Some(added)) = (&reply, added) {
            for group in self.raw_groups(key) {
                if dev::xsetid_lowers(added, &group) {
                    self.met(dev::XSETID_ENTRIES_READ);
                    self.set_entries_read(key, &group.name, group.cursor, Some(added as i64));
                }
            }
        }
        reply
    }

    /// Writes a copy's entries anew, so that its nodes are as full as ours. All else is put back.
    fn pack_copy(&mut self, key: Name) {
        let before = self.counts(key).unwrap();
        let text = |id: EntryId| format!("{}-{}", id.ms, id.seq);
        let entries = self.ask(&[b"XRANGE", key, b"-", b"+"]);
        self.ask(&[b"XTRIM", key, b"MAXLEN", b"0"]);
        self.ask(&[b"XSETID", key, b"0-0"]);
        for entry in parse::list(&entries) {
            let [id, fields] = parse::list(entry) else {
                panic!("not an entry: {entry:?}");
            };
            let mut words = vec![b"XADD".to_vec(), key.to_vec(), parse::bytes(id)];
            words.extend(parse::list(fields).iter().map(parse::bytes));
            self.client.ask(&words);
        }
        let (last, added) = (text(before.last_id), before.added.to_string());
        let (last, added) = (last.as_bytes(), added.as_bytes());
        self.ask(&[b"XSETID", key, last, b"ENTRIESADDED", added]);
        let after = self.counts(key).unwrap();
        let expected = Counts { blocks: after.blocks, ..before };
        assert_eq!(after, expected, "only the nodes may change");
        if after.blocks != before.blocks {
            self.met(dev::COPY_PACKS);
        }
    }

    /// Drops a head node without live entries: a MINID trim up to the first live entry finds
    /// nothing else to remove.
    fn drop_emptied_node(&mut self, key: Name) {
        let Some(before) = self.counts(key) else {
            return;
        };
        if before.length == 0 && before.last_id == EntryId::MAX && before.blocks > 0 {
            // No threshold lies above the node: give it an entry again, and trim that.
            let max = format!("{}-{}", u64::MAX, u64::MAX);
            let (max, added) = (max.as_bytes(), before.added.to_string());
            self.ask(&[b"XSETID", key, b"0-0"]);
            self.ask(&[b"XADD", key, max, b"f", b"v"]);
            self.ask(&[b"XTRIM", key, b"MAXLEN", b"0"]);
            self.ask(&[b"XSETID", key, max, b"ENTRIESADDED", added.as_bytes()]);
        } else {
            let live = if before.length == 0 { EntryId::MAX } else { before.first_id };
            let live = format!("{}-{}", live.ms, live.seq);
            let removed = self.ask(&[b"XTRIM", key, b"MINID", live.as_bytes()]);
            assert_eq!(removed, Value::Int(0), "only an emptied node may go");
        }
        let after = self.counts(key).unwrap();
        let expected = Counts { blocks: after.blocks, ..before };
        assert_eq!(after, expected, "only the node may go");
        if after.blocks < before.blocks {
            self.met(dev::EMPTIED_NODE);
        }
    }
}

/// Applies both sets of rules to what was delivered.
fn follow(
    counters: &mut BTreeMap<Name, Counter>,
    from: &[(Name, ReadFrom)],
    streams: &[(Vec<u8>, Vec<Item>)],
) {
    let mut parts = streams.iter();
    for (key, what) in from {
        let counter = counters.get_mut(key).unwrap();
        let due = counter.counts.newest.is_some_and(|newest| newest > counter.cursor);
        if *what == ReadFrom::New && !due {
            continue;
        }
        let (name, items) = parts.next().expect("a part for each stream that yields something");
        assert_eq!(name, key);
        if *what != ReadFrom::New {
            continue;
        }
        for (id, _) in items {
            let at = counter.cursor;
            counter.old = counter.counts.after_delivery(Rules::Redis70, at, counter.old, *id);
            counter.new = counter.counts.after_delivery(Rules::Reference, at, counter.new, *id);
            counter.cursor = *id;
        }
    }
    assert!(parts.next().is_none(), "a part too many");
}

impl Side for RedisSide {
    fn run(&mut self, op: &Op) -> Reply {
        let accepted = dev::empty_interval(op);
        if accepted.is_some() {
            self.met(dev::EMPTY_INTERVAL);
        }
        let op = accepted.as_ref().unwrap_or(op);
        let reply = match op {
            Op::Reopen => Reply::Ok,
            Op::Add { .. } => self.add(op),
            Op::AddBatch { key, entries } => self.batch(key, entries),
            Op::Trim { key, cut } => self.trim_nodes(key, *cut),
            Op::GroupOpen { .. } => match self.plain(op) {
                Reply::Err(Class::GroupExists) => Reply::Ok,
                reply => reply,
            },
            Op::GroupCreate { .. } | Op::GroupSet { .. } => self.group_position(op),
            Op::GroupRead { .. } => self.group_read(op),
            Op::Groups { key } => self.groups(op, key),
            Op::SetId { key, last, added, .. } => self.set_id(op, key, *last, *added),
            Op::Copy { to, .. } => {
                let reply = self.plain(op);
                if reply == Reply::Int(1) {
                    self.pack_copy(to);
                }
                reply
            }
            _ => self.plain(op),
        };
        self.keys_changed(op, &reply);
        self.create_consumers(op, &reply);
        if let Op::Add { key, .. } | Op::Trim { key, .. } = op
            && dev::may_keep_an_emptied_node(op)
            && !matches!(reply, Reply::Err(_))
        {
            self.drop_emptied_node(key);
        }
        reply
    }

    fn adapt(&mut self, op: &Op) -> Op {
        self.without_dead_ends(op)
    }

    fn reset(&mut self) {
        self.nodes.clear();
        assert_eq!(self.ask(&[b"FLUSHDB"]), Value::Simple("OK".into()));
    }
}
