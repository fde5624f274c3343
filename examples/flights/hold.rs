//! The child that holds the store: opens it, goes on where the log ends, keeps four workers at
//! work, and closes it once everything was appended and acknowledged.
//!
//! It may be killed between any two instructions. Nothing is written down outside the store: what
//! was appended, delivered and acknowledged so far, the child learns from the log and its groups.

use crate::Outcome;
use crate::args::HoldArgs;
use crate::csv::{Flights, ROW};
use crate::random::Random;
use crate::wire::{Group, Report};
use crate::work::{self, Pace};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::Scope;
use std::time::Duration;
use streamlog::{AppendOptions, EntryId, EntryRef, NewId, Start, Store, Stream};

/// The stream's name.
pub(crate) const STREAM: &str = "flights";
/// How many workers are at work at the same time.
const WORKERS: usize = 4;
/// More names than places, so that the name of a dead worker may or may not come back.
const NAMES: [&str; 8] =
    ["amelia", "bessie", "charles", "igor", "louis", "orville", "raymonde", "wilbur"];
/// How long the work of one run should take if nobody died, over all workers and children.
const WORK_PER_RUN: Duration = Duration::from_secs(5);
/// How long the producer rests between two bursts.
const BURST: Duration = Duration::from_millis(60);
/// How often the end of the work is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// What the threads of the child share.
pub(crate) struct Shared {
    pub(crate) args: HoldArgs,
    pub(crate) flights: Flights,
    pub(crate) stream: Stream,
    /// How long a worker works on one entry, on average.
    pub(crate) work: Duration,
    /// Set once every thread should come to an end.
    pub(crate) stop: AtomicBool,
    /// Sabotage: whether the acknowledgement was dropped already.
    pub(crate) ack_dropped: AtomicBool,
}

/// What a thread says when it ends.
enum Ended {
    Producer(Outcome<()>),
    Analytics(Outcome<()>),
    /// The worker in this place: whether it died, or was told to stop.
    Worker(usize, Outcome<bool>),
}

/// Runs until everything is done.
pub(crate) fn run(args: &HoldArgs) -> Outcome<()> {
    let flights = Flights::load(args.csv.as_deref())?;
    let level = args.level.durability();
    let store = Store::options().durability(level).open(&args.dir)?;
    let stream = store.stream(STREAM)?;
    let last = last_row(&stream)?;
    Report::Last(last).send()?;
    for group in Group::ALL {
        stream.group(group.name(), Start::First)?;
    }
    let rows = u32::try_from(flights.len())?;
    let shared = Shared {
        args: args.clone(),
        work: WORK_PER_RUN * WORKERS as u32 / rows,
        flights,
        stream,
        stop: AtomicBool::new(false),
        ack_dropped: AtomicBool::new(false),
    };
    let next = last.map_or(0, |(row, _)| row + 1);
    std::thread::scope(|scope| {
        let result = supervise(&shared, next, scope);
        shared.stop.store(true, Ordering::Relaxed);
        result
    })?;
    // Handles of the stream end here, the store's own end with `close`, which says what `Drop`
    // could not.
    drop(shared);
    store.close()?;
    Report::Drained.send()?;
    Ok(())
}

/// Starts the threads, replaces workers that died, and returns once nothing is left to do.
fn supervise<'scope, 'env>(
    shared: &'env Shared,
    next: usize,
    scope: &'scope Scope<'scope, 'env>,
) -> Outcome<()> {
    let (tell, ended) = mpsc::channel();
    let (told, also) = (tell.clone(), tell.clone());
    scope.spawn(move || say(&told, Ended::Producer(produce(shared, next))));
    scope.spawn(move || say(&also, Ended::Analytics(work::analyse(shared))));
    let mut names = Names::new(Random::new(&[shared.args.seed, shared.args.life, 1]));
    let mut born = 0;
    let mut spawn = |place: usize, name: &'static str| {
        let random = Random::new(&[shared.args.seed, shared.args.life, 2, born]);
        born += 1;
        let tell = tell.clone();
        scope.spawn(move || {
            let outcome = work::work(shared, name, random);
            say(&tell, Ended::Worker(place, outcome));
        });
    };
    for (place, name) in names.at_work().into_iter().enumerate() {
        spawn(place, name);
    }
    let mut all_appended = false;
    loop {
        match ended.recv_timeout(LOOK) {
            Ok(Ended::Producer(outcome)) => {
                outcome?;
                all_appended = true;
            }
            Ok(Ended::Analytics(outcome)) => outcome?,
            Ok(Ended::Worker(place, outcome)) => {
                if outcome? {
                    spawn(place, names.replace(place));
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                if all_appended && drained(&shared.stream)? {
                    return Ok(());
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Err("every thread ended".into()),
        }
    }
}

fn say(tell: &Sender<Ended>, what: Ended) {
    // Nobody listens any more once the supervisor gave up; it has its reason already.
    tell.send(what).unwrap_or_default();
}

/// Whether both groups were given everything and have nothing pending. It decides when to stop and
/// nothing else: the witness does not hear of it.
fn drained(stream: &Stream) -> Outcome<bool> {
    let last = stream.info()?.last_id;
    for group in stream.groups()? {
        if group.last_delivered_id < last || group.pending > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Appends the rows from `next` on, in the order of their times.
fn produce(shared: &Shared, next: usize) -> Outcome<()> {
    // In bursts, so that a kill that follows the report of one append can hit the next one; and
    // only a little faster than the workers, so that there are appends to hit for most of a run.
    let mut pace = Pace::new(BURST);
    let step = shared.work * 4 / 5 / WORKERS as u32;
    for row in next..shared.flights.len() {
        if shared.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let ms = shared.flights.ms(row).unwrap_or_default();
        let id = if shared.args.drop_entry == Some(row) {
            // Sabotage: what a log would look like that said yes and forgot.
            EntryId::new(ms, u64::MAX)
        } else {
            let options = AppendOptions::new().id(NewId::AutoSeq(ms));
            shared.stream.append_with(shared.flights.fields(row), options)?
        };
        Report::Appended { row, id }.send()?;
        pace.spend(step);
    }
    Ok(())
}

/// The row and the ID of the last entry: where a producer goes on.
pub(crate) fn last_row(stream: &Stream) -> Outcome<Option<(usize, EntryId)>> {
    match stream.range(..).next_back() {
        None => Ok(None),
        Some(entry) => {
            let entry = entry?;
            Ok(Some((row_of(entry.as_ref())?, entry.id())))
        }
    }
}

/// Which row an entry says it is.
pub(crate) fn row_of(entry: EntryRef<'_>) -> Outcome<usize> {
    entry
        .get(ROW)
        .and_then(|value| std::str::from_utf8(value).ok())
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("entry {} has no row number", entry.id()).into())
}

/// Who is at work in which place, and who rests.
struct Names {
    order: [&'static str; NAMES.len()],
    random: Random,
}

impl Names {
    fn new(mut random: Random) -> Names {
        let mut order = NAMES;
        for left in (1..order.len()).rev() {
            let other = random.below(left as u64 + 1) as usize;
            order.swap(left, other);
        }
        Names { order, random }
    }

    /// The names in the places 0 to `WORKERS - 1`; the others rest.
    fn at_work(&self) -> Vec<&'static str> {
        self.order.iter().copied().take(WORKERS).collect()
    }

    /// The successor in a place: the same name once in three times, else one that rests.
    fn replace(&mut self, place: usize) -> &'static str {
        if !self.random.one_in(3) {
            let resting = (self.order.len() - WORKERS) as u64;
            let other = WORKERS + self.random.below(resting) as usize;
            self.order.swap(place, other);
        }
        self.order.get(place).copied().unwrap_or("nobody")
    }
}
