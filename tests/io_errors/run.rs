//! All cases: every call, every error, once and for ever, before and after.

use crate::disk::{Called, Fault};
use crate::judge::{Judged, files, judge, opened};
use crate::script::{Run, Step};
use crate::steps::{self, steps};
use crate::table::{EINTR, errors_of, fits, has_effect, leaves_no_trace};
use crate::{Durability, ErrorKind};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// One case.
#[derive(Clone, Copy, Debug)]
struct Case {
    level: usize,
    fault: Fault,
}

const LEVELS: [Durability; 3] = [Durability::Always, Durability::EVERY_SECOND, Durability::Manual];

/// As a failure prints it and `STREAMLOG_IO_CASE` takes it.
impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Case { level, fault: Fault { at, errno, times, after } } = self;
        let after = if *after { "after" } else { "before" };
        write!(f, "{level}/{at}/{errno}/{times}/{after}")
    }
}

impl Case {
    fn parse(text: &str) -> Option<Case> {
        let mut parts = text.split('/');
        let mut number = || parts.next()?.parse::<usize>().ok();
        let (level, at, errno, times) = (number()?, number()?, number()?, number()?);
        let after = parts.next()? == "after";
        let fault = Fault { at, errno: i32::try_from(errno).ok()?, times, after };
        Some(Case { level, fault })
    }
}

/// The calls of the script, and which step each one belongs to: how many calls there were behind it.
type Learned = (Vec<Called>, Vec<usize>);

/// What the script asks of a healthy disk, and up to which call each step comes.
fn learn(steps: &[Step], level: Durability) -> Judged<Learned> {
    let mut run = Run::new(level);
    run.disk.count(None);
    let mut ends = Vec::new();
    for (name, step) in steps {
        step(&mut run).map_err(|error| format!("without a fault, {name}: {error}"))?;
        ends.push(run.disk.counted());
    }
    let every = run.disk.take_every();
    judge(&mut run, level, 0).map_err(|what| format!("without a fault: {what}"))?;
    Ok((every, ends))
}

fn cases_of(level: usize, calls: &[Called]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, (call, _)) in calls.iter().enumerate() {
        for errno in errors_of(call) {
            // An interruption goes on for a while, not for ever.
            let times = if errno == EINTR { [1, 3] } else { [1, usize::MAX] };
            let afters: &[bool] = if has_effect(call) { &[false, true] } else { &[false] };
            for times in times {
                for after in afters.iter().copied().filter(|after| !after || errno != EINTR) {
                    cases.push(Case { level, fault: Fault { at, errno, times, after } });
                }
            }
        }
    }
    cases
}

/// What the answers were.
#[derive(Debug, Default)]
struct Tally {
    runs: u64,
    /// Runs in which no step failed: a call in the background, or one that was made again.
    unnoticed: u64,
    answers: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, more: Tally) {
        self.runs += more.runs;
        self.unnoticed += more.unnoticed;
        for (answer, times) in more.answers {
            *self.answers.entry(answer).or_default() += times;
        }
    }
}

fn play(case: &Case, steps: &[Step], ends: &[usize], tally: &mut Tally) -> Judged {
    let level = LEVELS[case.level];
    let Fault { at, errno, after, .. } = case.fault;
    let mut run = Run::new(level);
    run.disk.count(Some(case.fault));
    let fatal = ends.iter().position(|end| at < *end).unwrap_or(0);
    let mut failed = false;
    for (n, (name, step)) in steps.iter().enumerate() {
        let before = (n == fatal).then(|| (files(&run.disk), run.disk.image()));
        let hits = run.disk.hits();
        let done = step(&mut run);
        run.note_opened();
        if std::env::var_os("STREAMLOG_IO_CASE").is_some() {
            println!("{name}: {done:?}");
        }
        let Err(error) = done else { continue };
        let now = run.disk.hits();
        let Some((call, path)) = now.last().cloned() else {
            return Err(format!("{name} failed before the fault: {error}"));
        };
        let follows = follows_from(error.kind());
        let fitting = fits(error.kind(), call, errno);
        if !(fitting || (follows && failed)) {
            return Err(format!("{name} says {error:?} to a failing {call} {}", path.display()));
        }
        if errno == EINTR {
            return Err(format!("{name} was interrupted: {error}"));
        }
        if !failed {
            *tally.answers.entry(answer(error.kind())).or_default() += 1;
        }
        failed = true;
        let (Some((was, image)), false) = (before, after) else { continue };
        let judged = now.len() > hits.len() && leaves_no_trace(error.kind());
        if judged && !call.starts_with("remove") && !steps::goes_on(name) {
            let mut left = files(&run.disk);
            // A segment that cannot be written is ended where it is; a spare one may be given up.
            left.retain(|path| call != "write" || was.contains(path) || !is_segment(path));
            left.extend(was.iter().filter(|path| is_segment(path)).cloned());
            if call == "sync_dir" {
                // What a copy has left goes at the next open; the mark that says what it is has to
                // stay until the rest is gone for sure.
                let marks: Vec<_> = left.iter().filter(|path| path.ends_with("copy.tmp")).collect();
                let dirs: Vec<_> = marks.iter().filter_map(|mark| mark.parent()).collect();
                let marked = |path: &Path| dirs.contains(&path) || path.ends_with("copy.tmp");
                left = left.iter().filter(|path| !marked(path)).cloned().collect();
            }
            if left != was {
                let left: Vec<_> = left.symmetric_difference(&was).collect();
                return Err(format!("{name} says {error}, and the files differ by {left:?}"));
            }
            if opened(&image, level)? != opened(&run.disk.image(), level)? {
                return Err(format!("{name} says {error}, and has changed something"));
            }
        }
    }
    if run.disk.hits().is_empty() {
        return Err("the call was not made".into());
    }
    tally.runs += 1;
    tally.unnoticed += u64::from(!failed);
    judge(&mut run, level, errno)
}

/// What a step answers that builds on one that failed.
fn follows_from(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Closed | ErrorKind::NoStream { .. } | ErrorKind::NoGroup { .. })
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "seg")
}

fn answer(kind: &ErrorKind) -> String {
    let text = format!("{kind:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}

/// Plays cases until there is none left; each is another store's, so that threads share the work.
fn play_some(cases: &[Case], next: &AtomicUsize, learned: &[Learned]) -> (Tally, Vec<String>) {
    let steps = steps();
    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
        let (calls, ends) = &learned[case.level];
        if let Err(what) = play(case, &steps, ends, &mut tally) {
            let (call, path) = &calls[case.fault.at];
            let path = path.display();
            wrong.push(format!("STREAMLOG_IO_CASE={case} ({call} {path}): {what}"));
        }
    }
    (tally, wrong)
}

pub(crate) fn all() {
    let began = Instant::now();
    let slice = std::env::var("STREAMLOG_IO_SLICE").ok().and_then(|text| text.parse().ok());
    let slice = slice.unwrap_or(if cfg!(debug_assertions) { 101 } else { 1 });
    let (mut learned, mut cases) = (Vec::new(), Vec::new());
    for (level, durability) in LEVELS.into_iter().enumerate() {
        let healthy = learn(&steps(), durability).unwrap();
        cases.extend(cases_of(level, &healthy.0));
        learned.push(healthy);
    }
    let total = cases.len();
    let wanted: Vec<Case> = match std::env::var("STREAMLOG_IO_CASE") {
        Ok(text) => vec![Case::parse(&text).unwrap()],
        Err(_) => cases.into_iter().step_by(slice).collect(),
    };
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    std::thread::scope(|scope| {
        let work = || play_some(&wanted, &next, &learned);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let (more, found) = thread.join().unwrap();
            tally.add(more);
            wrong.extend(found);
        }
    });
    println!(
        "{} of {total} cases over {} calls in {:.1} s; in {} no step failed; first answers: {:?}",
        tally.runs,
        learned.iter().map(|(calls, _)| calls.len()).sum::<usize>(),
        began.elapsed().as_secs_f64(),
        tally.unnoticed,
        tally.answers
    );
    for what in wrong.iter().take(60) {
        println!("{what}");
    }
    assert!(wrong.is_empty(), "{} cases are wrong", wrong.len());
    assert_eq!(tally.runs, wanted.len() as u64, "a call of the script was not made again");
}
