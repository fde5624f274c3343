//! Random operations that meet each other: a small space of names and of IDs that moves on.
//!
//! What comes out depends on the seed alone, never on replies, so that a seed and a number of
//! operations are all it takes to play the same again.

use crate::op::*;
use crate::reply::{QUARTER_HOUR, YEAR_2001};
use streamlog::{EntryId, NewId, ReadFrom};

#[path = "generate/values.rs"]
mod values;
pub(crate) use values::Rng;

/// Whether XSETID is among the operations.
pub(crate) const WITH_SET_ID: bool = true;
/// Whether batches are among the operations.
pub(crate) const WITH_BATCHES: bool = true;
/// Streams that begin in a future millisecond can be asked for `*`: only the last ID decides.
pub(crate) const FUTURE_MS: u64 = 5_000_000_000_000;

pub(crate) struct Generator {
    rng: Rng,
    /// The millisecond at which each stream's appends roughly are.
    now: [u64; KEYS.len()],
    /// Whether the stream was given the largest ID, and needs to be removed soon.
    full: [bool; KEYS.len()],
    /// IDs that were asked for lately, so that operations on entries find some.
    known: [Vec<EntryId>; KEYS.len()],
    /// What an operation brings with it: a few that are wanted together, the next one last.
    queue: Vec<Op>,
    reopen: bool,
}

impl Generator {
    pub(crate) fn new(seed: u64, reopen: bool) -> Generator {
        Generator {
            rng: Rng(seed),
            now: [1, 2, FUTURE_MS],
            full: [false; KEYS.len()],
            known: Default::default(),
            queue: Vec::new(),
            reopen,
        }
    }

    pub(crate) fn take(&mut self, ops: usize) -> Vec<Op> {
        (0..ops).map(|_| self.op()).collect()
    }

    fn op(&mut self) -> Op {
        if let Some(op) = self.queue.pop() {
            return op;
        }
        let at = self.rng.below(KEYS.len() as u64) as usize;
        let key = KEYS[at];
        if self.full[at] && self.rng.percent(10) {
            return self.remove(at);
        }
        match self.rng.below(1000) {
            0..5 => self.empty_a_node(at),
            5..225 => self.add(at),
            225..240 if WITH_BATCHES => self.batch(at),
            240..250 => Op::Len { key },
            250..260 => Op::Get { key, id: self.id(at) },
            260..330 => self.range(at),
            330..370 => self.read(),
            370..420 => Op::Delete { key, ids: self.ids(at) },
            420..455 => Op::Trim { key, cut: self.cut(at) },
            455..540 => self.groups(at),
            540..700 => self.group_read(),
            700..760 => Op::Ack { key, group: self.group(), ids: self.ids(at) },
            760..780 => Op::Pending { key, group: self.group() },
            780..820 => self.pending(at),
            820..890 => self.claim(at),
            890..935 => self.auto_claim(at),
            935..940 => Op::Info { key },
            940..945 => Op::Full { key, count: self.rng.below(4) as usize },
            945..955 => Op::Groups { key },
            955..960 => Op::Consumers { key, group: self.group() },
            960..970 if WITH_SET_ID => self.set_id(at),
            970..974 => self.remove(at),
            974..978 => self.rename(at),
            978..984 => self.copy(at),
            984..986 => Op::Exists { key },
            986..990 => self.set_back(at),
            990..994 => Op::Names,
            994..1000 if self.reopen => Op::Reopen,
            _ => self.add(at),
        }
    }

    fn add(&mut self, at: usize) -> Op {
        let key = KEYS[at];
        let id = self.add_id(at);
        if let AddId::New(NewId::Exact(EntryId { ms, seq: u64::MAX })) = id {
            // What makes a full millisecond worth having.
            let id = AddId::New(NewId::AutoSeq(ms));
            let fields = self.fields();
            self.queue.push(Op::Add { key, create: true, id, cut: None, fields });
        }
        self.know(at, id);
        let zero = [AddId::New(NewId::Exact(EntryId::MIN)), AddId::Ms(0)].contains(&id);
        let mut create = !self.rng.percent(15) || zero;
        let cut = if self.rng.percent(20) { Some(self.cut(at)) } else { None };
        let fields = if self.rng.percent(1) { Vec::new() } else { self.fields() };
        // One fault at a time: which of two is named first is not what is compared here.
        if fields.is_empty() {
            return Op::Add { key, create: true, id: AddId::New(NewId::Auto), cut: None, fields };
        }
        let mut id = id;
        if cut.is_some_and(|cut| cut.limit.is_some() && !cut.approximate) {
            (create, id) = (true, AddId::New(NewId::Auto));
        }
        Op::Add { key, create, id, cut, fields }
    }

    fn batch(&mut self, at: usize) -> Op {
        // Mostly IDs that fit: one that does not undoes the whole batch.
        let id = |this: &mut Generator| match this.rng.percent(75) {
            true => AddId::New(NewId::Auto),
            false => this.add_id(at),
        };
        let entries = (0..self.rng.below(8)).map(|_| (id(self), self.fields())).collect();
        Op::AddBatch { key: KEYS[at], entries }
    }

    fn range(&mut self, at: usize) -> Op {
        let (start, end) = self.edges(at);
        Op::Range {
            key: KEYS[at],
            reverse: self.rng.percent(45),
            start,
            end,
            count: self.rng.maybe(40, |rng| 1 + rng.below(8) as usize),
            borrow: self.rng.percent(50),
        }
    }

    fn read(&mut self) -> Op {
        let from = self.several().into_iter().map(|at| (KEYS[at], self.start(at))).collect();
        Op::Read { from, count: self.count() }
    }

    fn groups(&mut self, at: usize) -> Op {
        let key = KEYS[at];
        let group = self.group();
        let consumer = self.rng.pick(&CONSUMERS);
        let start = self.start(at);
        let entries_read = self.rng.maybe(40, |rng| match rng.percent(10) {
            true => rng.below(100_000),
            false => rng.below(30),
        });
        match self.rng.below(100) {
            0..35 => {
                let make = self.rng.percent(30);
                Op::GroupCreate { key, group, start, make, entries_read }
            }
            35..55 => Op::GroupOpen { key, group, start },
            55..80 => Op::GroupSet { key, group, start, entries_read },
            80..83 => Op::GroupDestroy { key, group },
            83..91 => Op::ConsumerCreate { key, group, consumer },
            _ => Op::ConsumerDelete { key, group, consumer },
        }
    }

    fn group_read(&mut self) -> Op {
        let what = |this: &mut Generator, at| match this.rng.percent(75) {
            true => ReadFrom::New,
            // The largest ID as a position is `>` to Redis; here they are different values.
            false => match this.id(at) {
                EntryId::MAX => ReadFrom::History(EntryId::MIN),
                id => ReadFrom::History(id),
            },
        };
        let from = self.several().into_iter().map(|at| (KEYS[at], what(self, at))).collect();
        Op::GroupRead {
            group: self.group(),
            consumer: self.rng.pick(&CONSUMERS),
            from,
            count: self.count(),
            no_ack: self.rng.percent(15),
            together: self.rng.percent(50),
        }
    }

    fn pending(&mut self, at: usize) -> Op {
        let (start, end) = self.edges(at);
        Op::PendingRange {
            key: KEYS[at],
            group: self.group(),
            min_idle: self.min_idle(),
            start,
            end,
            count: self.rng.pick(&[0, 1, 2, 5, 100, 100]),
            consumer: self.rng.maybe(40, |rng| rng.pick(&CONSUMERS)),
        }
    }

    fn claim(&mut self, at: usize) -> Op {
        // The last two are taken for now: before 1970, and in the future.
        const WHENS: [When; 5] = [
            When::Idle(0),
            When::Idle(QUARTER_HOUR),
            When::Time(YEAR_2001),
            When::Idle(9_000_000_000_000),
            When::Time(9_000_000_000_000),
        ];
        const RETRIES: [u64; 5] = [0, 1, 7, i64::MAX as u64 - 1, i64::MAX as u64];
        let when = (0..self.rng.pick(&[0, 0, 1, 1, 2])).map(|_| self.rng.pick(&WHENS)).collect();
        let claim = Claim {
            min_idle: self.min_idle(),
            ids: self.ids(at),
            when,
            retry_count: self.rng.maybe(20, |rng| rng.pick(&RETRIES)),
            force: self.rng.percent(30),
            just_ids: self.rng.percent(30),
            last_id: if self.rng.percent(8) { Some(self.id(at)) } else { None },
        };
        let (key, group) = (KEYS[at], self.group());
        let consumer = self.rng.pick(&CONSUMERS);
        if claim.retry_count.is_some() {
            self.count_on(key, group, claim.ids.clone());
        }
        Op::Claim { key, group, consumer, claim }
    }

    /// Claims once more, to count on from what was set, and looks at it.
    fn count_on(&mut self, key: Name, group: Name, ids: Vec<EntryId>) {
        self.queue.push(Op::PendingRange {
            key,
            group,
            min_idle: 0,
            start: Edge::Lowest,
            end: Edge::Highest,
            count: 100,
            consumer: None,
        });
        let claim = Claim { ids, ..Claim::default() };
        let consumer = self.rng.pick(&CONSUMERS);
        self.queue.push(Op::Claim { key, group, consumer, claim });
    }

    fn auto_claim(&mut self, at: usize) -> Op {
        Op::AutoClaim {
            key: KEYS[at],
            group: self.group(),
            consumer: self.rng.pick(&CONSUMERS),
            min_idle: self.min_idle(),
            from: if self.rng.percent(40) { EntryId::MIN } else { self.id(at) },
            count: if self.rng.percent(3) { 0 } else { self.rng.pick(&[1, 1, 2, 3, 5, 100]) },
            just_ids: self.rng.percent(30),
        }
    }

    fn set_id(&mut self, at: usize) -> Op {
        let ahead = EntryId::new(self.now[at] + 1, self.rng.below(3));
        let last = if self.rng.percent(60) { ahead } else { self.id(at) };
        Op::SetId {
            key: KEYS[at],
            last: if last == EntryId::MAX { ahead } else { last },
            added: self.rng.maybe(50, |rng| rng.below(60)),
            max_deleted: if self.rng.percent(30) { Some(self.id(at)) } else { None },
        }
    }

    /// The last ID goes back over what was trimmed, or deleted and forgotten, and IDs come again.
    fn set_back(&mut self, at: usize) -> Op {
        let key = KEYS[at];
        let mut queue = Vec::new();
        let (added, max_deleted) = (None, None);
        if self.rng.percent(50) {
            let cut = Cut { to: CutTo::MaxLen(0), approximate: false, limit: None };
            queue.push(Op::Trim { key, cut });
            let last = self.id(at);
            self.now[at] = self.now[at].min(last.ms);
            queue.push(Op::SetId { key, last, added, max_deleted });
        } else {
            let ms = self.now[at] + 3;
            let ids = [0, 1, 2, 3].map(|seq| EntryId::new(ms, seq));
            for id in ids {
                let (id, fields) = (AddId::New(NewId::Exact(id)), self.fields());
                self.know(at, id);
                queue.push(Op::Add { key, create: true, id, cut: None, fields });
            }
            let kept = self.rng.below(3) as usize;
            queue.push(Op::Delete { key, ids: ids[kept + 1..].to_vec() });
            let max_deleted = Some(ids[kept]);
            queue.push(Op::SetId { key, last: ids[3], added, max_deleted });
            queue.push(Op::SetId { key, last: ids[kept], added, max_deleted: None });
            self.now[at] = ms;
        }
        queue.extend((0..self.rng.below(6)).map(|_| self.add(at)));
        self.queue.extend(queue.into_iter().rev());
        self.queue.pop().unwrap_or(Op::Len { key })
    }

    /// Deletes an entry and trims up to it: now and then what is left of a node goes with that.
    fn empty_a_node(&mut self, at: usize) -> Op {
        let (key, id) = (KEYS[at], self.id(at));
        let cut = Cut { to: CutTo::MinId(id), approximate: false, limit: None };
        self.queue.push(Op::Trim { key, cut });
        Op::Delete { key, ids: vec![id] }
    }

    /// A stream that is gone is filled again soon, and has groups.
    fn refill(&mut self, at: usize) {
        for group in [GROUPS[0], GROUPS[1]] {
            let start = self.start(at);
            self.queue.push(Op::GroupOpen { key: KEYS[at], group, start });
        }
        for _ in 0..self.rng.below(8) {
            let op = self.add(at);
            self.queue.push(op);
        }
    }

    fn remove(&mut self, at: usize) -> Op {
        self.full[at] = false;
        self.known[at].clear();
        self.now[at] = self.rng.pick(&[0, 1, 1000, FUTURE_MS]);
        self.refill(at);
        Op::Remove { key: KEYS[at] }
    }

    /// The other stream takes over where this one is.
    fn other(&mut self, at: usize) -> usize {
        let to = self.rng.below(KEYS.len() as u64) as usize;
        self.now[to] = self.now[at];
        self.full[to] = self.full[at];
        self.known[to] = self.known[at].clone();
        to
    }

    fn rename(&mut self, at: usize) -> Op {
        let to = self.other(at);
        self.refill(at);
        Op::Rename { from: KEYS[at], to: KEYS[to] }
    }

    fn copy(&mut self, at: usize) -> Op {
        let replace = self.rng.percent(60);
        let to = self.other(at);
        Op::Copy { from: KEYS[at], to: KEYS[to], replace }
    }
}
