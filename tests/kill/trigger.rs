//! The child's own executioner: a thread that waits until a call of the wanted kind is under way,
//! says so, and kills the process inside it.
//!
//! From outside a short call cannot be hit: it is over before its announcement has been read. Here
//! the calling thread marks the moment by one store, and the mark is looked at once more right
//! before the kill.

use crate::plan::{CHECKPOINT, Random, THREADS, highest_turn};
use crate::report::{Line, Op};
use rustix::process::{Signal, getpid, kill_process};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How long after the streams are there the process is killed if no call could be hit, and if no
/// checkpoint began.
const LONGEST: Duration = Duration::from_millis(400);
const LONGEST_WITHOUT_CHECKPOINT: Duration = Duration::from_secs(4);

/// What to hit: the kind of a call, and how many calls of that kind to let pass.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) word: String,
    pub(crate) skip: u64,
}

impl Target {
    pub(crate) fn to_text(&self) -> String {
        format!("{}:{}", self.word, self.skip)
    }

    pub(crate) fn parse(text: &str) -> Option<Target> {
        let (word, skip) = text.split_once(':')?;
        Some(Target { word: word.to_owned(), skip: skip.parse().ok()? })
    }
}

#[derive(Debug, Default)]
struct Marks {
    /// Per thread: the number of the call of the wanted kind that it is in; 0 if it is in none.
    inside: [AtomicU64; THREADS],
    /// Per thread: how many calls it has begun.
    begun: [AtomicU64; THREADS],
    /// How long the last call of the wanted kind took, in nanoseconds; 0 if none has ended.
    took: AtomicU64,
    passed: AtomicU64,
    ready: OnceLock<Instant>,
}

/// The calling threads' side.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trigger {
    target: Option<Target>,
    marks: Arc<Marks>,
}

/// A call that is under way.
pub(crate) struct Inside<'a> {
    marks: &'a Marks,
    thread: usize,
    since: Option<Instant>,
}

impl Trigger {
    pub(crate) fn of(target: Option<Target>) -> Trigger {
        Trigger { target, marks: Arc::default() }
    }

    /// The thread has announced a call and makes it now.
    pub(crate) fn enter(&self, thread: u64, op: &Op) -> Inside<'_> {
        let marks = &*self.marks;
        let thread = thread as usize;
        let number = marks.begun[thread].fetch_add(1, Ordering::Relaxed) + 1;
        let wanted = self.target.as_ref().is_some_and(|target| target.word == op.word());
        if wanted {
            marks.inside[thread].store(number, Ordering::Release);
        }
        Inside { marks, thread, since: wanted.then(Instant::now) }
    }

    /// The streams are there; all kinds of calls come from now on.
    pub(crate) fn ready(&self) {
        self.marks.ready.get_or_init(Instant::now);
    }

    /// Whether more calls of this kind are asked for than usual.
    pub(crate) fn wants(&self, word: &str) -> bool {
        self.target.as_ref().is_some_and(|target| target.word == word)
    }

    /// Starts the thread that kills; `say` tells the parent.
    pub(crate) fn arm(&self, dir: PathBuf, seed: u64, say: impl Fn(&Line) + Send + 'static) {
        let Some(target) = self.target.clone() else {
            return;
        };
        let marks = Arc::clone(&self.marks);
        let random = Random::new(&[seed, 99]);
        std::thread::spawn(move || {
            let mut executioner = Executioner { marks, random, say };
            if target.word == "checkpoint" {
                executioner.checkpoint(dir);
            } else {
                executioner.call(&target);
            }
        });
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if let Some(since) = self.since {
            let marks = self.marks;
            let took = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
            marks.inside[self.thread].store(0, Ordering::Release);
            marks.took.store(took.max(1), Ordering::Relaxed);
            marks.passed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Executioner<S> {
    marks: Arc<Marks>,
    random: Random,
    say: S,
}

impl<S: Fn(&Line)> Executioner<S> {
    fn call(&mut self, target: &Target) {
        loop {
            for thread in 0..THREADS {
                let call = self.marks.inside[thread].load(Ordering::Acquire);
                if call != 0 && self.marks.passed.load(Ordering::Relaxed) >= target.skip {
                    self.aim(thread, call);
                }
            }
            self.give_up(LONGEST);
            std::hint::spin_loop();
        }
    }

    /// Kills somewhere inside the call, unless it ends before.
    fn aim(&mut self, thread: usize, call: u64) {
        let began = Instant::now();
        (self.say)(&Line::Aimed { thread: thread as u64, call });
        let delay = self.delay();
        let inside = || self.marks.inside[thread].load(Ordering::Acquire) == call;
        while inside() {
            if began.elapsed() >= delay {
                die();
            }
            std::hint::spin_loop();
        }
    }

    /// Any part of what such a call took last.
    fn delay(&mut self) -> Duration {
        match self.marks.took.load(Ordering::Relaxed) {
            0 => self.any_delay(16 << 10),
            took => Duration::from_nanos(self.random.below(took)),
        }
    }

    /// Up to so many microseconds; short ones come as often as long ones.
    fn any_delay(&mut self, most: u64) -> Duration {
        let most = most >> self.random.below(u64::from(most.ilog2()) + 1);
        Duration::from_nanos(self.random.below(most * 1000))
    }

    /// A checkpoint is no call: the background writes it. It begins with a file of a higher turn.
    fn checkpoint(&mut self, dir: PathBuf) {
        while self.marks.ready.get().is_none() {
            std::thread::yield_now();
        }
        let before = highest_turn(&dir);
        while highest_turn(&dir) == before {
            self.give_up(LONGEST_WITHOUT_CHECKPOINT);
        }
        let began = Instant::now();
        (self.say)(&Line::Aimed { thread: CHECKPOINT, call: 1 });
        // In memory little is left to do once the file has its new turn.
        let delay = self.any_delay(256);
        while began.elapsed() < delay {
            std::hint::spin_loop();
        }
        die();
    }

    fn give_up(&self, longest: Duration) {
        if self.marks.ready.get().is_some_and(|ready| ready.elapsed() > longest) {
            die();
        }
    }
}

fn die() {
    kill_process(getpid(), Signal::KILL).unwrap();
    // The signal is on its way to this thread, too.
    loop {
        std::hint::spin_loop();
    }
}
