//! Starts children, reads what they say, and kills them at the worst moment.

use crate::child::Orders;
use crate::plan::Random;
use crate::report::{Line, Op};
use crate::witness::calls;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The variables by which a child knows that it is one.
pub(crate) const DIR: &str = "STREAMLOG_KILL_CHILD_DIR";
pub(crate) const SEED: &str = "STREAMLOG_KILL_CHILD_SEED";
pub(crate) const STORE: &str = "STREAMLOG_KILL_CHILD_STORE";
pub(crate) const LIFE: &str = "STREAMLOG_KILL_CHILD_LIFE";

/// How long a child may say nothing before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a child lives at most, unless a checkpoint is waited for.
const LONGEST: Duration = Duration::from_millis(80);

/// When to kill.
#[derive(Clone, Debug)]
pub(crate) enum Aim {
    /// So long after the threads began.
    Time(Duration),
    /// Right behind an intent, after so many lines.
    After(usize),
    /// Right behind the announcement of the n-th call of a kind.
    Call(&'static str, usize),
    /// While the store is being opened.
    Opening,
    /// While a checkpoint is being written, as soon as one is seen to begin.
    Checkpoint,
}

impl Aim {
    pub(crate) fn choose(busy_journal: bool, random: &mut Random) -> Aim {
        const CALLS: [&str; 10] = [
            "append",
            "batch",
            "delete",
            "trimlen",
            "trimmin",
            "read",
            "ack",
            "claim",
            "autoclaim",
            "sync",
        ];
        if busy_journal && random.one_in(4) {
            return Aim::Checkpoint;
        }
        match random.below(9) {
            0..=2 => Aim::Time(Duration::from_micros(random.below(50_000))),
            3 => Aim::After(random.below(2000) as usize),
            4..=7 => {
                let call = CALLS[random.below(CALLS.len() as u64) as usize];
                Aim::Call(call, random.below(12) as usize)
            }
            _ => Aim::Opening,
        }
    }
}

/// What was hit.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kills: u64,
    /// At least one thread was between its `intent` and its `done`.
    pub(crate) inside: u64,
    /// Of the kills aimed at one call: how many there were, and how many found it not returned.
    aimed: u64,
    hit: u64,
    calls: u64,
    /// How long the children lived, from their start to their burial.
    lived: Duration,
    checkpoints: u64,
    hit_by_kind: BTreeMap<&'static str, u64>,
    /// Entries that lived when the stores were left.
    pub(crate) entries: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills, {} inside a call ({} of {} aimed at one call hit it), {} calls reported, {} \
             checkpoints besides those of opening, {} entries left; children lived {:.1} s; calls \
             open at a kill:",
            self.kills,
            self.inside,
            self.hit,
            self.aimed,
            self.calls,
            self.checkpoints,
            self.entries,
            self.lived.as_secs_f64()
        )?;
        for (kind, times) in &self.hit_by_kind {
            write!(f, " {kind} {times}")?;
        }
        Ok(())
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

    fn kill(&self) {
        self.child.lock().unwrap().kill().unwrap();
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

/// Starts a child, kills it, and gives all that it said.
pub(crate) fn kill_one(
    orders: &Orders<'_>,
    aim: &Aim,
    random: &mut Random,
    tally: &mut Tally,
) -> Outcome<Vec<Line>> {
    let began = Instant::now();
    let turn = highest_turn(orders.dir);
    let mut running = start(orders);
    let (tell, told) = mpsc::channel();
    let timer = watch(&running, told, orders.dir.to_owned());
    let mut lines = Vec::new();
    let mut text = Vec::new();
    let mut aimer = Aimer::new(aim.clone(), random);
    let mut ended = false;
    while !ended {
        let mut now = None;
        ended = running.read(&mut text, |line| {
            now = aimer.look(line, lines.len()).or(now.take());
            lines.push(line.clone());
            now.is_some()
        })?;
        match now {
            Some(When::Now) => running.kill(),
            // The timer is gone if it has done its work.
            Some(later) => tell.send(later).unwrap_or_default(),
            None => {}
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
    if let Some(aimed) = aimer.fired_at {
        tally.aimed += 1;
        let open = calls.iter().any(|call| call.intent == aimed && call.is_open());
        tally.hit += u64::from(open);
    }
    for call in calls.iter().filter(|call| call.is_open()) {
        *tally.hit_by_kind.entry(call.op.word()).or_default() += 1;
    }
    tally.checkpoints += highest_turn(orders.dir).saturating_sub(turn + 1);
    Ok(lines)
}

/// Kills when it is told when, and a child that is not killed for too long. Returns whether it came
/// to that. It is a thread of its own, as a child whose pipe nobody reads comes to a stop.
fn watch(
    running: &Running,
    told: mpsc::Receiver<When>,
    dir: PathBuf,
) -> std::thread::JoinHandle<bool> {
    let child = Arc::clone(&running.child);
    std::thread::spawn(move || {
        let hung = match told.recv_timeout(PATIENCE) {
            Ok(When::Now) => false,
            Ok(When::Later(delay)) => {
                std::thread::sleep(delay);
                false
            }
            Ok(When::Checkpoint(delay)) => {
                wait_for_checkpoint(&dir);
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

enum When {
    Now,
    Later(Duration),
    Checkpoint(Duration),
}

/// Waits for the line that the aim is at.
struct Aimer {
    aim: Aim,
    left: usize,
    fired: bool,
    /// The line that the kill followed at once.
    fired_at: Option<usize>,
    delay: Duration,
}

impl Aimer {
    fn new(aim: Aim, random: &mut Random) -> Aimer {
        let delay = match &aim {
            Aim::Time(delay) => *delay,
            _ => Duration::from_micros(random.below(4000)),
        };
        let left = match aim {
            Aim::After(left) | Aim::Call(_, left) => left,
            _ => 0,
        };
        Aimer { aim, left, fired: false, fired_at: None, delay }
    }

    fn look(&mut self, line: &Line, number: usize) -> Option<When> {
        if self.fired {
            return None;
        }
        let when = match (&self.aim, line) {
            (Aim::Opening, Line::Intent { op: Op::Open, .. }) => Some(When::Later(self.delay)),
            (Aim::Time(_), Line::Ready) => Some(When::Later(self.delay)),
            (Aim::Checkpoint, Line::Ready) => Some(When::Checkpoint(self.delay)),
            (Aim::After(_), Line::Intent { .. }) if self.left == 0 => Some(When::Now),
            (Aim::Call(word, _), Line::Intent { op, .. }) if op.word() == *word => {
                self.left = self.left.saturating_sub(1);
                (self.left == 0).then_some(When::Now)
            }
            // A rare call on a slow disk is not waited for longer than this.
            (Aim::Call(..) | Aim::After(_), Line::Ready) => return Some(When::Later(LONGEST)),
            _ => None,
        };
        if matches!(self.aim, Aim::After(_)) {
            self.left = self.left.saturating_sub(1);
        }
        self.fired = when.is_some();
        if matches!(when, Some(When::Now)) {
            self.fired_at = Some(number);
        }
        when
    }
}

/// The highest turn that a file of the state journal has: each checkpoint begins another one.
fn highest_turn(dir: &Path) -> u64 {
    let turn = |name: &str| {
        let file = std::fs::File::open(dir.join("state").join(name)).ok()?;
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, TURN).ok()?;
        Some(u64::from_le_bytes(bytes))
    };
    ["0", "1", "2"].into_iter().filter_map(turn).max().unwrap_or(0)
}

/// Where a journal file's header has its turn.
const TURN: u64 = 40;

fn wait_for_checkpoint(dir: &Path) {
    let before = highest_turn(dir);
    for _ in 0..2000 {
        if highest_turn(dir) != before {
            return;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}
