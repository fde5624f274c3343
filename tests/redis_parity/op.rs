//! The operations that are played on both sides, and their text as Redis commands.
//!
//! An `Op` says everything that is needed to play it again; nothing in it depends on replies,
//! but for a bare `*`, which the player settles before both sides see it.

use std::fmt;
use streamlog::{EntryId, NewId, ReadFrom, Start};

/// Names are chosen to be awkward: empty, with a NUL, not UTF-8.
pub(crate) type Name = &'static [u8];
pub(crate) const KEYS: [Name; 3] = [b"s0", b"", b"s\x00\xff"];
pub(crate) const GROUPS: [Name; 3] = [b"g0", b"", b"g\xff\r\n"];
pub(crate) const CONSUMERS: [Name; 4] = [b"c0", b"c1", b"", b"c\x00"];

/// Pairs of name and value.
pub(crate) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddId {
    New(NewId),
    /// Milliseconds alone, an incomplete ID.
    Ms(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutTo {
    MaxLen(u64),
    MinId(EntryId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) to: CutTo,
    pub(crate) approximate: bool,
    pub(crate) limit: Option<u64>,
}

/// One end of a range of IDs, as it is written in a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// `-`
    Lowest,
    /// `+`
    Highest,
    Incl(EntryId),
    Excl(EntryId),
    InclMs(u64),
    ExclMs(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Idle(u64),
    Time(u64),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) min_idle: u64,
    pub(crate) ids: Vec<EntryId>,
    /// In the order in which they are given; the last one counts.
    pub(crate) when: Vec<When>,
    pub(crate) retry_count: Option<u64>,
    pub(crate) force: bool,
    pub(crate) just_ids: bool,
    pub(crate) last_id: Option<EntryId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[rustfmt::skip]
pub(crate) enum Op {
    Add { key: Name, create: bool, id: AddId, cut: Option<Cut>, fields: Fields },
    AddBatch { key: Name, entries: Vec<(AddId, Fields)> },
    Len { key: Name },
    Get { key: Name, id: EntryId },
    Range { key: Name, reverse: bool, start: Edge, end: Edge, count: Option<usize>, borrow: bool },
    Read { from: Vec<(Name, Start)>, count: usize },
    Delete { key: Name, ids: Vec<EntryId> },
    Trim { key: Name, cut: Cut },
    GroupCreate { key: Name, group: Name, start: Start, make: bool, entries_read: Option<u64> },
    /// Opens the group, or creates it: no single command of Redis.
    GroupOpen { key: Name, group: Name, start: Start },
    GroupSet { key: Name, group: Name, start: Start, entries_read: Option<u64> },
    GroupDestroy { key: Name, group: Name },
    ConsumerCreate { key: Name, group: Name, consumer: Name },
    ConsumerDelete { key: Name, group: Name, consumer: Name },
    /// `together` takes the call over several streams even for one.
    GroupRead {
        group: Name, consumer: Name, from: Vec<(Name, ReadFrom)>, count: usize, no_ack: bool,
        together: bool,
    },
    Ack { key: Name, group: Name, ids: Vec<EntryId> },
    Pending { key: Name, group: Name },
    PendingRange {
        key: Name, group: Name, min_idle: u64, start: Edge, end: Edge, count: usize,
        consumer: Option<Name>,
    },
    Claim { key: Name, group: Name, consumer: Name, claim: Claim },
    AutoClaim {
        key: Name, group: Name, consumer: Name, min_idle: u64, from: EntryId, count: usize,
        just_ids: bool,
    },
    Info { key: Name },
    Full { key: Name, count: usize },
    Groups { key: Name },
    Consumers { key: Name, group: Name },
    SetId { key: Name, last: EntryId, added: Option<u64>, max_deleted: Option<EntryId> },
    Remove { key: Name },
    Rename { from: Name, to: Name },
    Copy { from: Name, to: Name, replace: bool },
    Exists { key: Name },
    Names,
    /// Our side is closed and opened again; Redis goes on.
    Reopen,
}

impl Op {
    /// A word for the operation's kind, under which the player counts.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Op::Add { .. } => "XADD",
            Op::AddBatch { .. } => "batch of XADD",
            Op::Len { .. } => "XLEN",
            Op::Get { .. } => "XRANGE of one ID",
            Op::Range { reverse: false, .. } => "XRANGE",
            Op::Range { reverse: true, .. } => "XREVRANGE",
            Op::Read { .. } => "XREAD",
            Op::Delete { .. } => "XDEL",
            Op::Trim { .. } => "XTRIM",
            Op::GroupCreate { .. } => "XGROUP CREATE",
            Op::GroupOpen { .. } => "XGROUP CREATE, or open",
            Op::GroupSet { .. } => "XGROUP SETID",
            Op::GroupDestroy { .. } => "XGROUP DESTROY",
            Op::ConsumerCreate { .. } => "XGROUP CREATECONSUMER",
            Op::ConsumerDelete { .. } => "XGROUP DELCONSUMER",
            Op::GroupRead { .. } => "XREADGROUP",
            Op::Ack { .. } => "XACK",
            Op::Pending { .. } => "XPENDING",
            Op::PendingRange { .. } => "XPENDING of a range",
            Op::Claim { .. } => "XCLAIM",
            Op::AutoClaim { .. } => "XAUTOCLAIM",
            Op::Info { .. } => "XINFO STREAM",
            Op::Full { .. } => "XINFO STREAM FULL",
            Op::Groups { .. } => "XINFO GROUPS",
            Op::Consumers { .. } => "XINFO CONSUMERS",
            Op::SetId { .. } => "XSETID",
            Op::Remove { .. } => "DEL",
            Op::Rename { .. } => "RENAME",
            Op::Copy { .. } => "COPY",
            Op::Exists { .. } => "EXISTS",
            Op::Names => "KEYS",
            Op::Reopen => "close and open",
        }
    }

    /// The command that asks Redis for the same, its words separate. The kinds that are several
    /// commands, or none, have a text for people only.
    pub(crate) fn words(&self) -> Words {
        let mut w = Words::default();
        match self {
            Op::AddBatch { key, entries } => {
                w.put("BATCH").put(key);
                for (id, fields) in entries {
                    w.put("*").add_id(*id).fields(fields);
                }
            }
            Op::Reopen => {
                w.put("REOPEN");
            }
            Op::Names => {
                w.put("KEYS").put("*");
            }
            Op::GroupCreate { .. }
            | Op::GroupOpen { .. }
            | Op::GroupSet { .. }
            | Op::GroupDestroy { .. }
            | Op::ConsumerCreate { .. }
            | Op::ConsumerDelete { .. } => self.xgroup(&mut w),
            Op::GroupRead { .. }
            | Op::Ack { .. }
            | Op::Pending { .. }
            | Op::PendingRange { .. }
            | Op::Claim { .. }
            | Op::AutoClaim { .. } => self.of_a_group(&mut w),
            _ => self.of_a_stream(&mut w),
        }
        w
    }

    #[rustfmt::skip]
    fn of_a_stream(&self, w: &mut Words) {
        match self {
            Op::Add { key, create, id, cut, fields } => {
                w.put("XADD").put(key).when(!create, "NOMKSTREAM");
                if let Some(cut) = cut {
                    w.cut(cut);
                }
                w.add_id(*id).fields(fields);
            }
            Op::Len { key } => { w.put("XLEN").put(key); }
            Op::Get { key, id } => { w.put("XRANGE").put(key).id(*id).id(*id); }
            Op::Range { key, reverse, start, end, count, .. } => {
                let (command, from, to) = match reverse {
                    false => ("XRANGE", start, end),
                    true => ("XREVRANGE", end, start),
                };
                w.put(command).put(key).edge(*from).edge(*to);
                if let Some(count) = count {
                    w.put("COUNT").num(*count as u64);
                }
            }
            Op::Read { from, count } => {
                w.put("XREAD").put("COUNT").num(*count as u64).put("STREAMS");
                from.iter().for_each(|(key, _)| { w.put(key); });
                from.iter().for_each(|(_, start)| { w.start(*start); });
            }
            Op::Delete { key, ids } => { w.put("XDEL").put(key).ids(ids); }
            Op::Trim { key, cut } => { w.put("XTRIM").put(key).cut(cut); }
            Op::Info { key } => { w.put("XINFO").put("STREAM").put(key); }
            Op::Full { key, count } => {
                w.put("XINFO").put("STREAM").put(key).put("FULL").put("COUNT").num(*count as u64);
            }
            Op::Groups { key } => { w.put("XINFO").put("GROUPS").put(key); }
            Op::Consumers { key, group } => {
                w.put("XINFO").put("CONSUMERS").put(key).put(group);
            }
            Op::SetId { key, last, added, max_deleted } => {
                w.put("XSETID").put(key).id(*last);
                if let Some(added) = added {
                    w.put("ENTRIESADDED").num(*added);
                }
                if let Some(id) = max_deleted {
                    w.put("MAXDELETEDID").id(*id);
                }
            }
            Op::Remove { key } => { w.put("DEL").put(key); }
            Op::Rename { from, to } => { w.put("RENAME").put(from).put(to); }
            Op::Copy { from, to, replace } => {
                w.put("COPY").put(from).put(to).when(*replace, "REPLACE");
            }
            Op::Exists { key } => { w.put("EXISTS").put(key); }
            _ => unreachable!("not of a stream: {self:?}"),
        }
    }

    #[rustfmt::skip]
    fn xgroup(&self, w: &mut Words) {
        w.put("XGROUP");
        match self {
            Op::GroupCreate { key, group, start, make, entries_read } => {
                w.put("CREATE").put(key).put(group).start(*start).when(*make, "MKSTREAM")
                    .entries_read(*entries_read);
            }
            Op::GroupOpen { key, group, start } => {
                w.put("CREATE").put(key).put(group).start(*start);
            }
            Op::GroupSet { key, group, start, entries_read } => {
                w.put("SETID").put(key).put(group).start(*start).entries_read(*entries_read);
            }
            Op::GroupDestroy { key, group } => { w.put("DESTROY").put(key).put(group); }
            Op::ConsumerCreate { key, group, consumer } => {
                w.put("CREATECONSUMER").put(key).put(group).put(consumer);
            }
            Op::ConsumerDelete { key, group, consumer } => {
                w.put("DELCONSUMER").put(key).put(group).put(consumer);
            }
            _ => unreachable!("not an XGROUP: {self:?}"),
        }
    }

    #[rustfmt::skip]
    fn of_a_group(&self, w: &mut Words) {
        match self {
            Op::GroupRead { group, consumer, from, count, no_ack, .. } => {
                w.put("XREADGROUP").put("GROUP").put(group).put(consumer);
                w.put("COUNT").num(*count as u64).when(*no_ack, "NOACK").put("STREAMS");
                from.iter().for_each(|(key, _)| { w.put(key); });
                from.iter().for_each(|(_, what)| {
                    match what {
                        ReadFrom::New => w.put(">"),
                        ReadFrom::History(id) => w.id(*id),
                    };
                });
            }
            Op::Ack { key, group, ids } => { w.put("XACK").put(key).put(group).ids(ids); }
            Op::Pending { key, group } => { w.put("XPENDING").put(key).put(group); }
            Op::PendingRange { key, group, min_idle, start, end, count, consumer } => {
                w.put("XPENDING").put(key).put(group).put("IDLE").num(*min_idle);
                w.edge(*start).edge(*end).num(*count as u64);
                if let Some(consumer) = consumer {
                    w.put(consumer);
                }
            }
            Op::Claim { key, group, consumer, claim } => {
                w.put("XCLAIM").put(key).put(group).put(consumer).num(claim.min_idle);
                w.ids(&claim.ids).claim_options(claim);
            }
            Op::AutoClaim { key, group, consumer, min_idle, from, count, just_ids } => {
                w.put("XAUTOCLAIM").put(key).put(group).put(consumer).num(*min_idle).id(*from);
                w.put("COUNT").num(*count as u64).when(*just_ids, "JUSTID");
            }
            _ => unreachable!("not of a group: {self:?}"),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, word) in self.words().0.iter().enumerate() {
            let blank = if n > 0 { " " } else { "" };
            let plain = !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
            let quote = if plain { "" } else { "\"" };
            write!(f, "{blank}{quote}{}{quote}", word.escape_ascii())?;
        }
        Ok(())
    }
}

/// The words of one command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words(pub(crate) Vec<Vec<u8>>);

impl Words {
    pub(crate) fn put(&mut self, word: impl AsRef<[u8]>) -> &mut Words {
        self.0.push(word.as_ref().to_vec());
        self
    }

    fn num(&mut self, number: u64) -> &mut Words {
        self.put(number.to_string())
    }

    fn id(&mut self, id: EntryId) -> &mut Words {
        self.put(format!("{}-{}", id.ms, id.seq))
    }

    fn ids(&mut self, ids: &[EntryId]) -> &mut Words {
        ids.iter().fold(self, |w, id| w.id(*id))
    }

    fn when(&mut self, yes: bool, word: &str) -> &mut Words {
        if yes { self.put(word) } else { self }
    }

    fn add_id(&mut self, id: AddId) -> &mut Words {
        match id {
            AddId::New(NewId::Auto) => self.put("*"),
            AddId::New(NewId::AutoSeq(ms)) => self.put(format!("{ms}-*")),
            AddId::New(NewId::Exact(id)) => self.id(id),
            AddId::Ms(ms) => self.num(ms),
        }
    }

    fn fields(&mut self, fields: &Fields) -> &mut Words {
        for (name, value) in fields {
            self.put(name).put(value);
        }
        self
    }

    fn cut(&mut self, cut: &Cut) -> &mut Words {
        let sign = if cut.approximate { "~" } else { "=" };
        match cut.to {
            CutTo::MaxLen(len) => self.put("MAXLEN").put(sign).num(len),
            CutTo::MinId(id) => self.put("MINID").put(sign).id(id),
        };
        if let Some(limit) = cut.limit {
            self.put("LIMIT").num(limit);
        }
        self
    }

    fn edge(&mut self, edge: Edge) -> &mut Words {
        match edge {
            Edge::Lowest => self.put("-"),
            Edge::Highest => self.put("+"),
            Edge::Incl(id) => self.id(id),
            Edge::Excl(id) => self.put(format!("({}-{}", id.ms, id.seq)),
            Edge::InclMs(ms) => self.num(ms),
            Edge::ExclMs(ms) => self.put(format!("({ms}")),
        }
    }

    fn start(&mut self, start: Start) -> &mut Words {
        match start {
            Start::First => self.put("0"),
            Start::Last => self.put("$"),
            Start::LastEntry => self.put("+"),
            Start::After(id) => self.id(id),
        }
    }

    fn entries_read(&mut self, entries_read: Option<u64>) -> &mut Words {
        if let Some(n) = entries_read {
            self.put("ENTRIESREAD").num(n);
        }
        self
    }

    fn claim_options(&mut self, claim: &Claim) -> &mut Words {
        for when in &claim.when {
            match when {
                When::Idle(ms) => self.put("IDLE").num(*ms),
                When::Time(ms) => self.put("TIME").num(*ms),
            };
        }
        if let Some(n) = claim.retry_count {
            self.put("RETRYCOUNT").num(n);
        }
        self.when(claim.force, "FORCE").when(claim.just_ids, "JUSTID");
        if let Some(id) = claim.last_id {
            self.put("LASTID").id(id);
        }
        self
    }
}
