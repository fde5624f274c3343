//! kill -9, with a witness: a child process does everything that a store can do, from several
//! threads at once, and is killed at a random moment or right behind the announcement of a call;
//! then this process opens the store and compares it with what the child had said.
//!
//! `STREAMLOG_KILLS` is the number of kills (200), `STREAMLOG_KILL_SEED` the seed of the plan; the
//! moments themselves cannot be repeated. The same executable is the child, so this is a test
//! without the usual harness.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod child;
mod killer;
mod lies;
mod plan;
mod race;
mod report;
mod trigger;
mod witness;

use child::Orders;
use killer::{Aim, Tally, kill_one};
use plan::Random;
use report::{Done, Line, Op};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use streamlog::{EntryId, Store};
use trigger::Target;
use witness::{Known, calls};

/// How many lives one store has before another one is begun.
const LIVES: u64 = 25;

type Test = fn() -> Result<(), String>;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn main() -> ExitCode {
    if let Ok(dir) = std::env::var(killer::DIR) {
        let of = |name| number(name).unwrap();
        child::run(&Orders {
            dir: Path::new(&dir),
            seed: of(killer::SEED),
            store: of(killer::STORE),
            life: of(killer::LIFE),
            target: Target::parse(&std::env::var(killer::TARGET).unwrap()),
        });
    }
    let tests: [(&str, Test); 5] = [
        ("a_killed_process_loses_nothing_it_was_promised", kills),
        ("one_of_many_processes_opens_a_store", race::race_to_open),
        ("a_process_opens_a_store_once", race::open_twice),
        ("a_store_without_its_lock_file_is_opened_once", race::remove_the_lock_file),
        ("the_witness_sees_what_is_wrong", forgeries),
    ];
    let args: Vec<String> = std::env::args().skip(1).collect();
    let listing = args.iter().any(|arg| arg == "--list");
    let wanted = args.iter().find(|arg| !arg.starts_with('-'));
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests {
        if wanted.is_some_and(|part| !name.contains(part.as_str())) {
            continue;
        }
        if listing {
            println!("{name}: test");
            continue;
        }
        match test() {
            Ok(()) => passed += 1,
            Err(what) => {
                println!("test {name} FAILED: {what}");
                failed += 1;
                continue;
            }
        }
        println!("test {name} ... ok");
    }
    if !listing {
        println!("{passed} passed, {failed} failed");
    }
    ExitCode::from(u8::from(failed > 0))
}

/// A directory, in memory if that is wanted and there is such a place: what a killed process leaves
/// lies in the kernel, whatever is below it, and a store whose journal is kept busy on purpose would
/// spend its time in waiting for a disk.
fn temporary(in_memory: bool) -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let dir = match in_memory && memory.is_dir() {
        true => memory,
        false => Path::new(env!("CARGO_TARGET_TMPDIR")),
    };
    tempfile::tempdir_in(dir).unwrap()
}

fn kills() -> Result<(), String> {
    let seed = number("STREAMLOG_KILL_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let wanted = number("STREAMLOG_KILLS").unwrap_or(200);
    let began = Instant::now();
    let mut tally = Tally::default();
    let mut random = Random::new(&[seed]);
    let mut life = 0;
    let mut store = 0;
    while tally.kills < wanted {
        let place = temporary(plan::busy_journal(store));
        let dir = place.path().join("store");
        let mut known = Known::default();
        for _ in 0..LIVES {
            if tally.kills >= wanted {
                break;
            }
            let one = one_round(&dir, seed, store, &mut life, &mut random, &mut tally, &known);
            match one {
                Ok(next) => known = next,
                Err(what) => {
                    let kept = place.keep();
                    return Err(format!(
                        "STREAMLOG_KILL_SEED={seed}, kill {}, life {life}, store {store}: {what}; \
                         the store is in {}",
                        tally.kills,
                        kept.display()
                    ));
                }
            }
        }
        tally.entries += known.entries() as u64;
        store += 1;
    }
    println!("seed {seed}, {:.1} s: {tally}", began.elapsed().as_secs_f64());
    let all = tally.aimed();
    if all.hit * 3 < all.aimed {
        return Err(format!("{} of {} kills aimed at a call hit it", all.hit, all.aimed));
    }
    match tally.never_hit() {
        never if wanted >= 200 && !never.is_empty() => {
            Err(format!("no kill hit {}", never.join(", nor ")))
        }
        _ => Ok(()),
    }
}

/// Kills a child, sometimes a second one that comes upon what the first one left, and looks.
fn one_round(
    dir: &Path,
    seed: u64,
    store: u64,
    life: &mut u64,
    random: &mut Random,
    tally: &mut Tally,
    known: &Known,
) -> Result<Known, String> {
    let orders = |life: u64, target| Orders { dir, seed, store, life, target };
    let level = plan::level_number(*life);
    let aim = tally.next(level, plan::busy_journal(store), random);
    let target = aim.target(random);
    let first = kill_one(&orders(*life, target), &aim, level, tally)?;
    let mut lines = first.lines;
    *life += 1;
    // What the next opening tells of a cut checkpoint is lost if that opening is killed, too.
    while !first.in_checkpoint && random.one_in(4) {
        // Mostly killed while it opens what another one left; on a busy machine later.
        let opening = Aim::Call(random.below(2) as usize);
        let target = opening.target(random);
        let level = plan::level_number(*life);
        let more = kill_one(&orders(*life, target), &opening, level, tally)?;
        *life += 1;
        lines.extend(more.lines);
    }
    // For whoever has to find out what went wrong; the place goes when nothing did.
    let said: String = lines.iter().map(Line::to_text).collect();
    std::fs::write(dir.with_extension("lines"), said).map_err(|error| error.to_string())?;
    let (calls, ready) = calls(&lines)?;
    let store = child::store_options(&orders(*life, None)).open(dir);
    let store = store.map_err(|error| format!("the store does not open: {error}"))?;
    if first.in_checkpoint && !store.recovery().journal.skipped.is_empty() {
        tally.hit_checkpoint(level);
    }
    let mut next = known.check(&store, &calls, ready)?;
    next.send_again(&store, &calls)?;
    if random.one_in(3) {
        store.close().map_err(|error| error.to_string())?;
        let again = Store::open(dir).map_err(|error| error.to_string())?;
        next.check_same(&again)?;
    }
    Ok(next)
}

fn some_ids(store: &Store, pending: bool) -> Vec<EntryId> {
    let stream = store.get(plan::STREAMS[0]).unwrap().unwrap();
    if pending {
        let group = stream.get_group(plan::GROUPS[0]).unwrap().unwrap();
        let found = group.pending_range(.., streamlog::PendingFilter::new()).unwrap();
        // Of what belongs to nobody, nobody can be said to have it.
        let owned = found.into_iter().filter(|record| !record.unowned);
        owned.map(|record| record.id).take(3).collect()
    } else {
        stream.range(..).take(3).map(|e| e.unwrap().id()).collect()
    }
}

/// Whether the group had entries acknowledged that are there, and of which nothing else says so.
fn acknowledges_some(told: &[witness::Call], store: &Store) -> bool {
    let also = |id: &EntryId, stream: usize| {
        told.iter().any(|call| match &call.op {
            Op::AckDelete { stream: other, ids, .. } => *other == stream && ids.contains(id),
            _ => false,
        })
    };
    told.iter().filter(|call| !call.is_open()).any(|call| {
        let Op::Ack { stream, ids, .. } = &call.op else { return false };
        let found = store.get(plan::STREAMS[*stream]).unwrap().unwrap();
        let there = |id: &EntryId| found.get(*id).unwrap().is_some();
        ids.iter().any(|id| there(id) && !also(id, *stream))
    })
}

/// A witness that never complains proves nothing: each of these lies must be found.
fn forgeries() -> Result<(), String> {
    // When the kill comes is chance, and so is what is left.
    for seed in 0..20 {
        if forgeries_of(seed)?.is_some() {
            return Ok(());
        }
    }
    Err("no child has left enough to tell lies about".into())
}

/// `None` if there is too little left to tell lies about.
fn forgeries_of(seed: u64) -> Result<Option<()>, String> {
    let place = temporary(false);
    let dir: PathBuf = place.path().join("store");
    let orders = Orders { dir: &dir, seed, store: 0, life: 2, target: None };
    let mut tally = Tally::default();
    let aim = Aim::Time(Duration::from_millis(150));
    let lines = kill_one(&orders, &aim, 2, &mut tally)?.lines;
    let store = Store::open(&dir).map_err(|error| error.to_string())?;
    let (told, ready) = calls(&lines)?;
    let known = Known::default().check(&store, &told, ready)?;
    if some_ids(&store, true).is_empty() || some_ids(&store, false).is_empty() {
        return Ok(None);
    }
    let (stream, group) = (0, 0);
    let lies: [(&str, Op, Vec<EntryId>); 5] = [
        (
            "LOST",
            Op::Append { stream, token: 1, max_len: None },
            vec![EntryId::new(u64::MAX - 1, 0)],
        ),
        ("is back", Op::Delete { stream, ids: some_ids(&store, false) }, vec![]),
        (
            "last delivered",
            Op::Read { stream, group, consumer: 0 },
            vec![EntryId::new(u64::MAX - 1, 0)],
        ),
        (
            "is pending and was acknowledged",
            Op::Ack { stream, group, ids: some_ids(&store, true) },
            vec![],
        ),
        (
            "who has lost it",
            Op::Claim { stream, group, consumer: 77, ids: some_ids(&store, true) },
            some_ids(&store, true),
        ),
    ];
    for (complaint, op, ids) in lies {
        let thread = 0;
        let done = Done { ids, ..Done::default() };
        let life = [Line::Ready, Line::Intent { thread, op }, Line::Done { thread, done }];
        let (calls, ready) = calls(&life)?;
        match known.check(&store, &calls, ready) {
            Err(what) if what.contains(complaint) => {}
            other => {
                let other = other.map(|_| "nothing");
                return Err(format!("expected \"{complaint}\", found {other:?}"));
            }
        }
    }
    if !acknowledges_some(&told, &store) {
        return Ok(None);
    }
    // To a witness that did not hear of the acknowledgements, the group skipped entries, or some
    // were removed which it was not done with.
    let deaf = told.into_iter().filter(|call| !matches!(call.op, Op::Ack { .. }));
    let deaf: Vec<_> = deaf.collect();
    match Known::default().check(&store, &deaf, ready) {
        Err(what)
            if ["LOST to the group", "was not done with it"].iter().any(|w| what.contains(w)) => {}
        other => return Err(format!("a skipped entry was not found: {:?}", other.err())),
    }
    lies::tell(&store, known)
}
