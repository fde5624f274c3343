//! Runs the cases on a few threads, counts how they end, and prints what must not be.

use super::alloc;
use super::fixture::Fixture;
use super::harm::{Cases, Harm, What};
use super::image::mix;
use super::judge::{End, Judge};
use super::look::{How, look};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// In a debug build one case takes about ten milliseconds.
const STRIDE: usize = if cfg!(debug_assertions) { 997 } else { 97 };
/// A case that takes longer than this hangs.
const LONGEST: Duration = Duration::from_secs(60);
/// The files of the heap disk are allocations, too; those of the journal are made this long when a
/// store is opened. Nothing else may come near.
const LARGEST: usize = (256 << 10) + 64;
/// From here on findings are counted and not printed.
const MOST_PRINTED: usize = 40;

/// One case in so many is opened for salvage, too, whatever slice of the cases is looked at.
const SALVAGED: u64 = 10;

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Which cases to run.
struct Plan {
    stride: usize,
    first: usize,
    share: (usize, usize),
    one: Option<usize>,
    file: String,
}

fn number(name: &str) -> Option<usize> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

impl Plan {
    fn from_environment() -> Plan {
        let all = std::env::var("STREAMLOG_SWEEP").is_ok_and(|what| what == "all");
        let stride = if all { 1 } else { number("STREAMLOG_SWEEP").unwrap_or(STRIDE).max(1) };
        let share = std::env::var("STREAMLOG_SWEEP_SHARE").ok().map(|text| {
            let (i, n) = text.split_once('/').expect("STREAMLOG_SWEEP_SHARE is i/n");
            (i.parse().unwrap(), n.parse().unwrap())
        });
        Plan {
            stride,
            first: number("STREAMLOG_SWEEP_SEED").unwrap_or(0) % stride,
            share: share.unwrap_or((0, 1)),
            one: number("STREAMLOG_SWEEP_CASE"),
            file: std::env::var("STREAMLOG_SWEEP_FILE").unwrap_or_default(),
        }
    }

    fn cases(&self, cases: &Cases) -> Vec<usize> {
        if let Some(one) = self.one {
            return vec![one];
        }
        let all = cases.of_files(&self.file).filter(|number| {
            let stride = (self.stride / cases.weight(*number)).max(1);
            number % stride == self.first % stride
        });
        all.skip(self.share.0).step_by(self.share.1).collect()
    }
}

/// How many cases ended how.
#[derive(Default)]
struct Counts {
    unchanged: usize,
    refusing: BTreeMap<End, usize>,
    skipping: BTreeMap<End, usize>,
    salvaged: usize,
    /// The largest allocation of any case, in bytes.
    largest: usize,
    findings: Vec<String>,
}

impl Counts {
    fn note(&mut self, largest: usize) {
        self.largest = self.largest.max(largest);
    }

    fn print(&self, cases: usize, took: Duration) {
        let of = |ends: &BTreeMap<End, usize>, end| ends.get(&end).copied().unwrap_or(0);
        println!("  {} of {cases} changed nothing", self.unchanged);
        for (name, ends) in [("refusing", &self.refusing), ("skipping", &self.skipping)] {
            println!(
                "  {name}: {} identical, {} identical and reported, {} refused, {} with a reported \
                 loss",
                of(ends, End::Identical),
                of(ends, End::Reported),
                of(ends, End::Refused),
                of(ends, End::Lost),
            );
        }
        println!("  {} salvaged as they are skipped, and not changed", self.salvaged);
        println!("  the largest allocation: {} bytes", self.largest);
        let rate = cases as f64 / took.as_secs_f64();
        println!("  {:.0} s, {rate:.0} cases/s", took.as_secs_f64());
    }
}

pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| PANIC.set(info.to_string())));
    let fixture = match catch_unwind(Fixture::new) {
        Ok(fixture) => fixture,
        Err(_) => {
            println!("the fixture cannot be made: {}", PANIC.take());
            return ExitCode::FAILURE;
        }
    };
    let plan = Plan::from_environment();
    let cases = Cases::of(&fixture.image);
    let chosen = plan.cases(&cases);
    println!("{}; {} of {} cases", fixture.describe(), chosen.len(), cases.total);
    let began = Instant::now();
    let counts = run_all(&fixture, &cases, &chosen);
    counts.print(chosen.len(), began.elapsed());
    for finding in counts.findings.iter().take(MOST_PRINTED) {
        println!("{finding}");
    }
    println!("{} findings", counts.findings.len());
    if counts.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_all(fixture: &Fixture, cases: &Cases, chosen: &[usize]) -> Counts {
    let counts = Mutex::new(Counts::default());
    let threads = number("STREAMLOG_SWEEP_THREADS").unwrap_or(2).max(1);
    let next = AtomicUsize::new(0);
    let running: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
    std::thread::scope(|scope| {
        for running in &running {
            scope.spawn(|| {
                let _done = Done(running);
                while let Some(number) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    running.store(number + 1, Ordering::Relaxed);
                    run_one(fixture, &cases.get(*number, &fixture.image), &counts);
                }
            });
        }
        watch(&running);
    });
    counts.into_inner().unwrap()
}

/// What a thread that is through, however it came to that, says it runs.
const DONE: usize = usize::MAX;

struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(DONE, Ordering::Relaxed);
    }
}

/// Ends the process if a case does not.
fn watch(running: &[AtomicUsize]) {
    let mut seen = vec![(0, Instant::now()); running.len()];
    while running.iter().any(|one| one.load(Ordering::Relaxed) != DONE) {
        for (running, (last, since)) in running.iter().zip(&mut seen) {
            let now = running.load(Ordering::Relaxed);
            if now != *last {
                (*last, *since) = (now, Instant::now());
            } else if now != DONE && since.elapsed() > LONGEST {
                println!("case {} does not end", now.wrapping_sub(1));
                std::process::exit(1);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn run_one(fixture: &Fixture, harm: &Harm, counts: &Mutex<Counts>) {
    let Some(harmed) = harm.apply(fixture) else {
        counts.lock().unwrap().unchanged += 1;
        return;
    };
    let judge = Judge { fixture, harm, harmed: &harmed };
    let closely = harm.number.is_multiple_of(4) || !matches!(harm.what, What::Byte { .. });
    let looked = |how: How| {
        let disk = harmed.image.disk(harm.number as u64 * 1000);
        alloc::reset();
        let look = look(fixture, &disk, how, closely)?;
        let largest = alloc::largest();
        counts.lock().unwrap().note(largest);
        if largest > LARGEST {
            return Err(format!("an allocation of {largest} bytes"));
        }
        Ok((look, disk))
    };
    let report = |how: &str, what: &str| {
        counts.lock().unwrap().findings.push(format!("{harm}, {how}: {what}"));
    };
    let refused = caught(|| judge.refusing(&looked(How::Refuse)?.0));
    // What is refused or lost with damage refused must be found with damage skipped.
    let verify = refused.as_ref().is_ok_and(|end| *end > End::Reported);
    match refused {
        Ok(end) => *counts.lock().unwrap().refusing.entry(end).or_default() += 1,
        Err(what) => report("Refuse", &what),
    }
    let mut skipped = None;
    let end = caught(|| {
        let (look, _) = looked(How::Skip { verify })?;
        let end = judge.skipping(&look)?;
        judge.verified(&look)?;
        skipped = Some(look);
        Ok(end)
    });
    match end {
        Ok(end) => *counts.lock().unwrap().skipping.entry(end).or_default() += 1,
        Err(what) => report("Skip", &what),
    }
    if mix(harm.number as u64).is_multiple_of(SALVAGED)
        && let Some(skipped) = skipped
    {
        let salvaged = caught(|| {
            let before = harmed.image.disk(0).image();
            let (look, disk) = looked(How::Salvage)?;
            judge.salvaging(&look, &skipped)?;
            judge.verified(&look)?;
            let same = disk.image().files == before.files;
            if same { Ok(()) } else { Err("files were changed".to_owned()) }
        });
        match salvaged {
            Ok(()) => counts.lock().unwrap().salvaged += 1,
            Err(what) => report("Salvage", &what),
        }
    }
}

/// The result, or what it panicked with.
fn caught<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let result = catch_unwind(AssertUnwindSafe(run));
    result.unwrap_or_else(|_| Err(format!("a panic: {}", PANIC.take())))
}
