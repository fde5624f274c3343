//! The child: opens the store, and has its threads do everything at once until it is killed.

mod younger;

use crate::plan::{
    BALLAST, BALLAST_CONSUMERS, BALLAST_GROUP, GROUPS, Random, STREAMS, ballast_consumer,
    busy_journal, check_entry, fields, is_careful, level, stream_options, token,
};
use crate::report::{Done, Line, Op};
use crate::trigger::{Target, Trigger};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;
use streamlog::{
    AppendOptions, Batch, Consumer, Delivery, EntryId, Group, GroupReadOptions, NewEntries, Start,
    Store, StoreOptions, Stream, StreamOptions, Trim,
};

/// How many threads append. Two more read as members of the groups, one fills the journal.
const APPENDERS: u64 = 3;
const READERS: u64 = 2;
/// The most IDs in one line.
const MANY: usize = 48;
/// Among the dice of the appenders.
const TRIM_REF: u64 = 100;
const DELETE_WITH: u64 = 103;
const ONCE: u64 = 106;

/// What the parent tells a child.
pub(crate) struct Orders<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) seed: u64,
    pub(crate) store: u64,
    pub(crate) life: u64,
    /// Where to be killed, if it is not the parent that does it.
    pub(crate) target: Option<Target>,
}

struct Reporter {
    pipe: File,
    trigger: Trigger,
}

impl Reporter {
    fn line(&self, line: &Line) {
        // The parent reads until the child is dead, so a failure means that nobody listens.
        (&self.pipe).write_all(line.to_text().as_bytes()).unwrap();
    }

    /// One call: announced, made, reported. An error ends the child and fails the run.
    fn call(&self, thread: u64, op: Op, make: impl FnOnce() -> streamlog::Result<Done>) -> Done {
        let what = format!("{op:?}");
        let line = Line::Intent { thread, op: op.clone() };
        self.line(&line);
        let inside = self.trigger.enter(thread, &op);
        let made = make();
        drop(inside);
        match made {
            Ok(done) => {
                self.line(&Line::Done { thread, done: done.clone() });
                done
            }
            Err(error) => self.broken(&format!("{error} in {what}")),
        }
    }

    fn broken(&self, what: &str) -> ! {
        self.line(&Line::Broken(what.to_owned()));
        std::process::exit(3)
    }
}

struct Work<'a> {
    orders: &'a Orders<'a>,
    report: Reporter,
    store: Store,
    streams: Vec<Stream>,
    /// What was appended or delivered lately, for others to delete and to claim.
    recent: Vec<Mutex<VecDeque<EntryId>>>,
    /// The numbers of entries that were sent once lately, for others to send again.
    sent: Vec<Mutex<VecDeque<u64>>>,
}

/// Never returns: the parent ends the process.
pub(crate) fn run(orders: &Orders<'_>) -> ! {
    let report = Reporter { pipe: pipe(), trigger: Trigger::of(orders.target.clone()) };
    let say = Reporter { pipe: pipe(), trigger: Trigger::default() };
    let dir = orders.dir.to_owned();
    report.trigger.arm(dir, orders.seed ^ orders.life, move |line| say.line(line));
    let options = store_options(orders);
    let mut opened = None;
    report.call(0, Op::Open, || {
        opened = Some(options.open(orders.dir)?);
        Ok(Done::default())
    });
    let store = opened.unwrap();
    let streams = prepare(&report, &store).unwrap_or_else(|e| report.broken(&e.to_string()));
    report.line(&Line::Ready);
    report.trigger.ready();
    let work = Work {
        orders,
        report,
        store,
        recent: streams.iter().map(|_| Mutex::default()).collect(),
        sent: streams.iter().map(|_| Mutex::default()).collect(),
        streams,
    };
    std::thread::scope(|scope| {
        for thread in 0..APPENDERS {
            let work = &work;
            scope.spawn(move || work.append_for_ever(thread));
        }
        for reader in 0..READERS {
            let work = &work;
            scope.spawn(move || work.read_for_ever(APPENDERS + reader, reader));
        }
        scope.spawn(|| work.ballast_for_ever(APPENDERS + READERS));
    });
    unreachable!("the threads never end")
}

pub(crate) fn store_options(orders: &Orders<'_>) -> StoreOptions {
    Store::options().durability(level(orders.life)).stream_defaults(stream_options(orders.store))
}

fn pipe() -> File {
    File::from(std::io::stdout().as_fd().try_clone_to_owned().unwrap())
}

fn prepare(report: &Reporter, store: &Store) -> streamlog::Result<Vec<Stream>> {
    let mut streams = Vec::new();
    for (number, name) in STREAMS.into_iter().enumerate() {
        report.call(0, Op::Recover { stream: number }, || {
            store.stream(name)?;
            Ok(Done::default())
        });
        let stream = store.stream(name)?;
        for group in GROUPS {
            stream.group(group, Start::First)?;
        }
        // So long and so many that no life of a store outlives them.
        stream.set_idempotency(Some(Duration::from_secs(86_400)), Some(10_000))?;
        streams.push(stream);
    }
    Ok(streams)
}

impl Work<'_> {
    fn random(&self, thread: u64) -> Random {
        Random::new(&[self.orders.seed, self.orders.life, thread])
    }

    fn remember(&self, stream: usize, ids: &[EntryId]) {
        let mut recent = self.recent[stream].lock().unwrap();
        recent.extend(ids);
        let surplus = recent.len().saturating_sub(400);
        recent.drain(..surplus);
    }

    fn some_recent(&self, stream: usize, random: &mut Random, most: u64) -> Vec<EntryId> {
        let recent = self.recent[stream].lock().unwrap();
        let mut ids: Vec<EntryId> = (0..1 + random.below(most))
            .filter_map(|_| recent.get(random.below(recent.len() as u64) as usize))
            .copied()
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Leaves the processor to the ballast when a checkpoint is to fall due.
    fn make_way(&self) {
        if self.report.trigger.wants("checkpoint") {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The dice that give the kind of call that is to be hit, now and then.
    fn wanted(&self, random: &mut Random, dice: &[(&str, u64)]) -> Option<u64> {
        let trigger = &self.report.trigger;
        let (_, dice) = dice.iter().find(|(word, _)| trigger.wants(word))?;
        random.one_in(3).then_some(*dice)
    }

    fn append_for_ever(&self, thread: u64) {
        let mut random = self.random(thread);
        for call in 0.. {
            self.make_way();
            let stream = random.below(STREAMS.len() as u64) as usize;
            let number = token(self.orders.life, thread, call, 0);
            let wanted = self.wanted(
                &mut random,
                &[
                    ("trimlen", 0),
                    ("trimmin", 0),
                    ("delete", 4),
                    ("batch", 9),
                    ("sync", 25),
                    ("once", ONCE),
                    ("delex", DELETE_WITH),
                    ("trimref", TRIM_REF),
                ],
            );
            let usual = || match random.below(116) {
                0..=3 | 26..=29 if is_careful(self.orders.life) => TRIM_REF,
                4..=8 if is_careful(self.orders.life) => DELETE_WITH,
                dice => dice,
            };
            match wanted.unwrap_or_else(usual) {
                ONCE.. => self.once(thread, stream, call, &mut random),
                DELETE_WITH.. => self.delete_with(thread, stream, &mut random),
                TRIM_REF.. => self.trim_references(thread, stream, &mut random),
                0..=3 => self.trim(thread, stream, &mut random),
                4..=8 => self.delete(thread, stream, &mut random),
                9..=24 => self.batch(thread, stream, number, 1 + random.below(MANY as u64)),
                25 => {
                    self.report.call(thread, Op::Sync, || {
                        self.store.sync()?;
                        Ok(Done::default())
                    });
                }
                other => {
                    let max_len = (other < 30).then(|| 100 + random.below(400));
                    self.append(thread, stream, number, max_len);
                }
            }
        }
    }

    fn append(&self, thread: u64, stream: usize, token: u64, max_len: Option<u64>) {
        let op = Op::Append { stream, token, max_len };
        let mut options = AppendOptions::new();
        if let Some(len) = max_len {
            options = options.trim(Trim::max_len(len));
        }
        let done = self.report.call(thread, op, || {
            let id = self.streams[stream].append_with(fields(token), options)?;
            Ok(Done { ids: vec![id], ..Done::default() })
        });
        self.remember(stream, &done.ids);
    }

    fn batch(&self, thread: u64, stream: usize, token: u64, count: u64) {
        let mut batch = NewEntries::new();
        let mut bytes = 0;
        let mut fit = 0;
        for n in 0..count {
            let fields = fields(token + n);
            // It has to fit into the smallest segment.
            bytes += 64 + fields.iter().map(|(n, v)| n.len() + v.len() + 8).sum::<usize>();
            if bytes > 6 << 10 && n > 0 {
                break;
            }
            batch.push(fields).unwrap();
            fit += 1;
        }
        let op = Op::Batch { stream, token, count: fit };
        let done = self.report.call(thread, op, || {
            let ids = self.streams[stream].append_batch(&batch)?;
            Ok(Done {
                ids: ids.map_or_else(Vec::new, |(first, last)| vec![first, last]),
                ..Done::default()
            })
        });
        self.remember(stream, &done.ids);
    }

    fn delete(&self, thread: u64, stream: usize, random: &mut Random) {
        let ids = self.some_recent(stream, random, 5);
        let op = Op::Delete { stream, ids: ids.clone() };
        self.report.call(thread, op, || {
            let count = self.streams[stream].delete(ids)?;
            Ok(Done { count, ..Done::default() })
        });
    }

    fn trim(&self, thread: u64, stream: usize, random: &mut Random) {
        let exact = !random.one_in(3);
        let min = self.some_recent(stream, random, 1).first().copied();
        let (op, mut trim) = match min.filter(|_| random.one_in(3)) {
            Some(min) => (Op::TrimMin { stream, min, exact }, Trim::min_id(min)),
            None => {
                let keep = 50 + random.below(1000);
                let op = Op::TrimLen { stream, keep, exact };
                (op, Trim::max_len(keep))
            }
        };
        if !exact {
            trim = trim.approximate();
        }
        self.report.call(thread, op, || {
            let count = self.streams[stream].trim(trim)?;
            Ok(Done { count, ..Done::default() })
        });
    }

    fn read_for_ever(&self, thread: u64, consumer: u64) {
        let mut random = self.random(thread);
        let mut held: Vec<Vec<EntryId>> = vec![Vec::new(); STREAMS.len() * GROUPS.len()];
        loop {
            self.make_way();
            let stream = random.below(STREAMS.len() as u64) as usize;
            let group = random.below(GROUPS.len() as u64) as usize;
            let found = self.streams[stream].get_group(GROUPS[group]);
            let Ok(Some(handle)) = found else { self.report.broken("a group is missing") };
            let me = handle.consumer(format!("c{consumer}")).unwrap();
            let held = &mut held[stream * GROUPS.len() + group];
            let at = At { thread, stream, group, consumer };
            let wanted = self.wanted(
                &mut random,
                &[
                    ("claim", 85),
                    ("autoclaim", 93),
                    ("read", 0),
                    ("nack", 100),
                    ("ackdel", 105),
                    ("readclaim", 110),
                ],
            );
            match wanted.unwrap_or_else(|| random.below(115)) {
                100..=104 => self.nack(&at, &handle, held, &mut random),
                105..=109 => self.ack_delete(&at, &handle, held, &mut random),
                110.. => held.extend(self.read_claim(&at, &me, &mut random)),
                0..=44 => held.extend(self.read(&at, &me, &mut random)),
                45..=84 => self.ack(&at, &handle, held, &mut random),
                85..=92 => held.extend(self.claim(&at, &me, &mut random)),
                93..=97 => held.extend(self.auto_claim(&at, &me, &mut random)),
                _ => held.extend(self.history(&at, &me)),
            }
        }
    }

    fn checked(&self, batch: &Batch) -> Vec<EntryId> {
        for entry in batch {
            if let Err(what) = check_entry(entry) {
                self.report.broken(&what);
            }
        }
        batch.ids().collect()
    }

    fn delivered(&self, delivery: &Delivery) -> Done {
        let gone = delivery.missing().to_vec();
        Done { ids: self.checked(delivery), gone, ..Done::default() }
    }

    fn read(&self, at: &At, me: &Consumer, random: &mut Random) -> Vec<EntryId> {
        let mut options = GroupReadOptions::new().count(1 + random.below(MANY as u64) as usize);
        if random.one_in(2) {
            options = options.block(Duration::from_millis(2));
        }
        let op = Op::Read { stream: at.stream, group: at.group, consumer: at.consumer };
        let read = || Ok(self.delivered(&me.read(options)?));
        let ids = self.report.call(at.thread, op, read).ids;
        self.remember(at.stream, &ids);
        ids
    }

    fn history(&self, at: &At, me: &Consumer) -> Vec<EntryId> {
        let op = Op::History { stream: at.stream, group: at.group, consumer: at.consumer };
        let read = || Ok(self.delivered(&me.history(EntryId::MIN, MANY)?));
        self.report.call(at.thread, op, read).ids
    }

    fn ack(&self, at: &At, group: &Group, held: &mut Vec<EntryId>, random: &mut Random) {
        let from = held.len() - held.len().min(1 + random.below(MANY as u64) as usize);
        let mut ids = held.split_off(from);
        // Some are never acknowledged by this reader, and left to be claimed.
        ids.retain(|_| !random.one_in(5));
        if ids.is_empty() {
            return;
        }
        let op = Op::Ack { stream: at.stream, group: at.group, ids: ids.clone() };
        self.report.call(at.thread, op, || {
            let count = group.ack(ids)?;
            Ok(Done { count, ..Done::default() })
        });
    }

    fn claim(&self, at: &At, me: &Consumer, random: &mut Random) -> Vec<EntryId> {
        let ids = self.some_recent(at.stream, random, 20);
        let op = Op::Claim {
            stream: at.stream,
            group: at.group,
            consumer: at.consumer,
            ids: ids.clone(),
        };
        let claim = || Ok(self.delivered(&me.claim(ids, Duration::ZERO)?));
        self.report.call(at.thread, op, claim).ids
    }

    fn auto_claim(&self, at: &At, me: &Consumer, random: &mut Random) -> Vec<EntryId> {
        let op = Op::AutoClaim { stream: at.stream, group: at.group, consumer: at.consumer };
        let count = 1 + random.below(MANY as u64) as usize;
        let claim = || {
            let found = me.auto_claim(EntryId::MIN, Duration::ZERO, count)?;
            let mut done = self.delivered(&found.delivery);
            done.gone = found.deleted;
            Ok(done)
        };
        self.report.call(at.thread, op, claim).ids
    }

    /// Fills the state journal, so that checkpoints fall due while everything else goes on.
    fn ballast_for_ever(&self, thread: u64) {
        let options = StreamOptions::new().durability(streamlog::Durability::Manual);
        let stream = self.store.stream_with(BALLAST, options);
        let group = stream.and_then(|stream| stream.group(BALLAST_GROUP, Start::First));
        let group = group.unwrap_or_else(|error| self.report.broken(&error.to_string()));
        let life = self.orders.life;
        for call in 0.. {
            self.report.call(thread, Op::Ballast { life, call }, || {
                for n in 0..BALLAST_CONSUMERS {
                    let name = ballast_consumer(life, call, n);
                    group.create_consumer(&name)?;
                    group.remove_consumer(&name)?;
                }
                Ok(Done::default())
            });
            if !busy_journal(self.orders.store) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// Who calls, and on what.
struct At {
    thread: u64,
    stream: usize,
    group: usize,
    consumer: u64,
}
