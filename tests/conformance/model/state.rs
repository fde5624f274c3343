//! The model: a stream, its groups, what is pending in them, and how the server shows that.

use std::collections::{BTreeMap, BTreeSet};

pub(super) type Id = (u64, u64);

pub(super) const MOST: i64 = i64::MAX;

pub(super) struct Record {
    /// `None`: it was given back.
    pub(super) owner: Option<String>,
    pub(super) count: i64,
    /// How many milliseconds ago it counts as delivered, but for the time that the test takes.
    pub(super) age: u64,
    /// Later ones are greater.
    pub(super) turn: u64,
}

#[derive(Default)]
pub(super) struct Group {
    pub(super) last: Id,
    pub(super) read: Option<i64>,
    pub(super) pending: BTreeMap<Id, Record>,
    pub(super) consumers: BTreeSet<String>,
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) entries: BTreeSet<Id>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) last: Id,
    pub(super) added: i64,
    pub(super) max_deleted: Id,
    turn: u64,
}

pub(super) fn text((ms, seq): Id) -> String {
    format!("{ms}-{seq}")
}

/// An entry as replies have it; its one value is the first part of its ID. `told` is what stands
/// behind it where a read claims.
pub(super) fn shown(id: Id, told: Option<&str>) -> String {
    let told = told.map(|told| format!(" {told}")).unwrap_or_default();
    format!("[{} [f {}]{told}]", text(id), id.0)
}

fn count_or_nil(count: Option<i64>) -> String {
    count.map_or("nil".to_owned(), |count| format!(":{count}"))
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" ")
}

impl Model {
    pub(super) fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    pub(super) fn first(&self) -> Id {
        self.entries.first().copied().unwrap_or_default()
    }

    pub(super) fn create(&mut self, group: &str, last: Id) {
        self.groups.insert(group.to_owned(), Group { last, ..Group::default() });
    }

    /// What XINFO STREAM FULL shows of all that.
    pub(super) fn full(&self) -> String {
        let entries = joined(self.entries.iter().map(|id| shown(*id, None)));
        let groups = joined(self.groups.iter().map(|(name, group)| self.group(name, group)));
        format!(
            "{{length :{} radix-tree-keys * radix-tree-nodes * last-generated-id {} \
             max-deleted-entry-id {} entries-added :{} recorded-first-entry-id {} \
             idmp-duration * idmp-maxsize * pids-tracked * iids-tracked * iids-added * \
             iids-duplicates * entries [{entries}] groups [{groups}]}}",
            self.entries.len(),
            text(self.last),
            text(self.max_deleted),
            self.added,
            text(self.first()),
        )
    }

    fn group(&self, name: &str, group: &Group) -> String {
        let record = |(id, record): (&Id, &Record)| match &record.owner {
            Some(owner) => format!("[{} {owner} * :{}]", text(*id), record.count),
            None => format!("[{} \"\" :0 :{}]", text(*id), record.count),
        };
        let consumer = |name: &String| {
            let own =
                group.pending.iter().filter(|(_, record)| record.owner.as_ref() == Some(name));
            let own: Vec<_> =
                own.map(|(id, record)| format!("[{} * :{}]", text(*id), record.count)).collect();
            format!(
                "{{name {name} seen-time * active-time * pel-count :{} pending [{}]}}",
                own.len(),
                own.join(" ")
            )
        };
        format!(
            "{{name {name} last-delivered-id {} entries-read {} lag {} pel-count :{} \
             nacked-count :{} pending [{}] consumers [{}]}}",
            text(group.last),
            count_or_nil(group.read),
            count_or_nil(self.lag(group)),
            group.pending.len(),
            group.pending.values().filter(|record| record.owner.is_none()).count(),
            joined(group.pending.iter().map(record)),
            joined(group.consumers.iter().map(consumer)),
        )
    }
}
