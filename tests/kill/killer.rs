//! Starts children, reads what they say, and kills them at the worst moment.

use crate::child::Orders;
use crate::plan::{CHECKPOINT, KINDS, LEVELS, Random, highest_turn};
use crate::report::{Line, Op};
use crate::trigger::Target;
use crate::witness::calls;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The variables by which a child knows that it is one.
pub(crate) const DIR: &str = "STREAMLOG_KILL_CHILD_DIR";
pub(crate) const SEED: &str = "STREAMLOG_KILL_CHILD_SEED";
pub(crate) const STORE: &str = "STREAMLOG_KILL_CHILD_STORE";
pub(crate) const LIFE: &str = "STREAMLOG_KILL_CHILD_LIFE";
pub(crate) const TARGET: &str = "STREAMLOG_KILL_CHILD_TARGET";

/// How long a child may say nothing before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// When to kill.
#[derive(Clone, Debug)]
pub(crate) enum Aim {
    /// So long after the threads began, whatever they do.
    Time(Duration),
    /// Inside a call of this kind (a place in [`KINDS`]); the child does it itself.
    Call(usize),
}

impl Aim {
    pub(crate) fn time(random: &mut Random) -> Aim {
        Aim::Time(Duration::from_micros(random.below(50_000)))
    }

    /// The child's part of it.
    pub(crate) fn target(&self, random: &mut Random) -> Option<Target> {
        match self {
            Aim::Time(_) => None,
            Aim::Call(kind) => {
                let word = KINDS[*kind].to_owned();
                let skip =
                    if ["open", "recover"].contains(&KINDS[*kind]) { 0 } else { random.below(12) };
                Some(Target { word, skip })
            }
        }
    }
}

/// How many kills were aimed at calls of one kind, and how many of these found the call begun and
/// not returned.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cell {
    pub(crate) aimed: u64,
    pub(crate) hit: u64,
}

/// What was hit.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kills: u64,
    /// By kind and level.
    pub(crate) cells: [[Cell; LEVELS.len()]; KINDS.len()],
    /// At least one thread was between its `intent` and its `done`.
    inside: u64,
    calls: u64,
    /// How long the children lived, from their start to their burial.
    lived: Duration,
    checkpoints: u64,
    hit_by_kind: BTreeMap<&'static str, u64>,
    /// Entries that lived when the stores were left.
    pub(crate) entries: u64,
}

impl Tally {
    /// What to aim at next under a level: at what was hit least so far.
    pub(crate) fn next(&self, level: usize, busy_journal: bool, random: &mut Random) -> Aim {
        if random.one_in(8) {
            return Aim::time(random);
        }
        let kinds = (0..KINDS.len()).filter(|kind| busy_journal || KINDS[*kind] != "checkpoint");
        let least = kinds.min_by_key(|kind| {
            let cell = self.cells[*kind][level];
            (cell.hit, cell.aimed, random.next())
        });
        Aim::Call(least.unwrap_or_default())
    }

    /// The files say that a checkpoint was cut.
    pub(crate) fn hit_checkpoint(&mut self, level: usize) {
        self.cells[KINDS.len() - 1][level].hit += 1;
    }

    pub(crate) fn aimed(&self) -> Cell {
        let mut all = Cell::default();
        for cell in self.cells.iter().flatten() {
            all.aimed += cell.aimed;
            all.hit += cell.hit;
        }
        all
    }

    /// The kinds, with their levels, of which no call was hit.
    pub(crate) fn never_hit(&self) -> Vec<String> {
        let cells = KINDS.iter().zip(&self.cells);
        let cells = cells.flat_map(|(kind, row)| {
            LEVELS.iter().zip(row).map(move |(level, cell)| (kind, level, cell))
        });
        cells
            .filter(|(_, _, cell)| cell.hit == 0)
            .map(|(kind, level, _)| format!("{kind} under {level}"))
            .collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.aimed();
        writeln!(
            f,
            "{} kills, {} aimed at one call, {} of these inside it; {} with any call open; {} calls \
             reported, {} checkpoints besides those of opening, {} entries left; children lived \
             {:.1} s",
            self.kills,
            all.aimed,
            all.hit,
            self.inside,
            self.calls,
            self.checkpoints,
            self.entries,
            self.lived.as_secs_f64()
        )?;
        write!(f, "{:<12}", "hit of aimed")?;
        LEVELS.iter().try_for_each(|level| write!(f, "{level:>14}"))?;
        writeln!(f)?;
        for (kind, row) in KINDS.iter().zip(&self.cells) {
            write!(f, "{kind:<12}")?;
            for cell in row {
                write!(f, "{:>14}", format!("{} of {}", cell.hit, cell.aimed))?;
            }
            writeln!(f)?;
        }
        write!(f, "calls open at a kill:")?;
        self.hit_by_kind.iter().try_for_each(|(kind, times)| write!(f, " {kind} {times}"))
    }
}

/// A child and its end of the pipe. Dropping it kills the child.
pub(crate) struct Running {
    child: Arc<Mutex<Child>>,
    pipe: ChildStdout,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        // It may be dead already.
        child.kill().unwrap_or_default();
        child.wait().unwrap();
    }
}

pub(crate) fn start(orders: &Orders<'_>) -> Running {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(DIR, orders.dir)
        .env(SEED, orders.seed.to_string())
        .env(STORE, orders.store.to_string())
        .env(LIFE, orders.life.to_string())
        .env(TARGET, orders.target.as_ref().map_or_else(String::new, Target::to_text))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pipe = child.stdout.take().unwrap();
    let child = Arc::new(Mutex::new(child));
    Running { child, pipe }
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// Reads until `each` says so or the pipe ends. Returns whether it ended.
    fn read(&mut self, text: &mut Vec<u8>, mut each: impl FnMut(&Line) -> bool) -> Outcome<bool> {
        let mut buf = [0; 16 << 10];
        loop {
            let got = self.pipe.read(&mut buf).map_err(|e| e.to_string())?;
            if got == 0 {
                return match text.is_empty() {
                    true => Ok(true),
                    false => Err("a line was cut short".into()),
                };
            }
            text.extend_from_slice(&buf[..got]);
            let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |n| n + 1);
            let mut stop = false;
            for line in text[..end].split(|byte| *byte == b'\n').filter(|l| !l.is_empty()) {
                let line = std::str::from_utf8(line).ok().and_then(Line::parse);
                stop |= each(&line.ok_or("a line that cannot be read")?);
            }
            text.drain(..end);
            if stop {
                return Ok(false);
            }
        }
    }

    /// The first line that is no intent.
    pub(crate) fn first_answer(&mut self) -> Outcome<Line> {
        let mut answer = None;
        self.read(&mut Vec::new(), |line| {
            if answer.is_none() && !matches!(line, Line::Intent { .. }) {
                answer = Some(line.clone());
            }
            answer.is_some()
        })?;
        answer.ok_or_else(|| "the child said nothing".into())
    }
}

type Outcome<T> = Result<T, String>;

/// What a killed child said.
pub(crate) struct Life {
    pub(crate) lines: Vec<Line>,
    /// It was killed while a checkpoint was seen to be written.
    pub(crate) in_checkpoint: bool,
}

/// Starts a child, kills it or lets it kill itself, and gives all that it said.
pub(crate) fn kill_one(
    orders: &Orders<'_>,
    aim: &Aim,
    level: usize,
    tally: &mut Tally,
) -> Outcome<Life> {
    let began = Instant::now();
    let turn = highest_turn(orders.dir);
    let mut running = start(orders);
    let (tell, told) = mpsc::channel();
    let timer = watch(&running, told);
    let mut lines = Vec::new();
    let mut text = Vec::new();
    let mut ended = false;
    while !ended {
        let mut ready = false;
        ended = running.read(&mut text, |line| {
            ready |= matches!(line, Line::Ready);
            lines.push(line.clone());
            ready
        })?;
        if let (true, Aim::Time(delay)) = (ready, aim) {
            // The timer is gone if it has done its work.
            tell.send(*delay).unwrap_or_default();
        }
    }
    drop(tell);
    let hung = timer.join().map_err(|_| "the timer failed")?;
    let status = running.child.lock().unwrap().wait();
    let status = status.map_err(|e| e.to_string())?;
    if hung {
        return Err("the child hung".into());
    }
    let (calls, _) = calls(&lines)?;
    if status.signal() != Some(9) {
        return Err(format!("the child ended by itself: {status}"));
    }
    tally.kills += 1;
    tally.lived += began.elapsed();
    tally.calls += calls.iter().filter(|call| !call.is_open()).count() as u64;
    tally.inside += u64::from(calls.iter().any(|call| call.is_open()));
    for call in calls.iter().filter(|call| call.is_open()) {
        *tally.hit_by_kind.entry(call.op.word()).or_default() += 1;
    }
    tally.checkpoints += highest_turn(orders.dir).saturating_sub(turn + 1);
    let mut in_checkpoint = false;
    if let Aim::Call(kind) = aim {
        let cell = &mut tally.cells[*kind][level];
        cell.aimed += 1;
        match hit(&lines) {
            Some(Hit::Checkpoint) => in_checkpoint = true,
            Some(Hit::Call(op)) if op.word() == KINDS[*kind] => cell.hit += 1,
            Some(Hit::Call(op)) => return Err(format!("{op:?} was hit, not {}", KINDS[*kind])),
            None => {}
        }
    }
    Ok(Life { lines, in_checkpoint })
}

enum Hit<'a> {
    /// Whether it was cut, the files say.
    Checkpoint,
    Call(&'a Op),
}

/// The call that the child was about to be killed in, if it has not returned since.
fn hit(lines: &[Line]) -> Option<Hit<'_>> {
    let aimed = lines.iter().rev().find_map(|line| match line {
        Line::Aimed { thread, call } => Some((*thread, *call)),
        _ => None,
    });
    let (aimed, call) = aimed?;
    if aimed == CHECKPOINT {
        return Some(Hit::Checkpoint);
    }
    let mut announced = lines.iter().filter_map(|line| match line {
        Line::Intent { thread, op } if *thread == aimed => Some(op),
        _ => None,
    });
    let returned = |line: &&Line| matches!(line, Line::Done { thread, .. } if *thread == aimed);
    let returned = lines.iter().filter(returned).count() as u64;
    let op = announced.nth(usize::try_from(call).ok()?.checked_sub(1)?)?;
    (returned < call).then_some(Hit::Call(op))
}

/// Kills after the time that it is told, and a child that says nothing for too long. Returns
/// whether it came to that. It is a thread of its own, as a child whose pipe nobody reads comes to
/// a stop.
fn watch(running: &Running, told: mpsc::Receiver<Duration>) -> std::thread::JoinHandle<bool> {
    let child = Arc::clone(&running.child);
    std::thread::spawn(move || {
        let hung = match told.recv_timeout(PATIENCE) {
            Ok(delay) => {
                std::thread::sleep(delay);
                false
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        // It may be dead already.
        child.lock().unwrap().kill().unwrap_or_default();
        hung
    })
}
