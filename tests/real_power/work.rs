//! The work on the store, its interruption, and the judgement by the simulator's model.

use crate::cut::{How, cut, write_some_pages};
use crate::mounts::{Kind, Mounted};
use crate::sim::audit::told;
use crate::sim::call::{Call, Fail, Subject, View};
use crate::sim::check::{Told, check};
use crate::sim::engine::Engine;
use crate::sim::explore::look_at_groups;
use crate::sim::learn::Moment;
use crate::sim::model::{Model, Violation};
use crate::sim::plan::{Config, Level, Plan};
use crate::sim::resolve::{Action, Resolver};
use crate::sim::rng::Rng;
use crate::storage::disk::Disk;
use crate::storage::real::RealDisk;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many cuts one file system lives through.
const CUTS: u64 = 10;

/// What the cuts did.
#[derive(Debug, Default)]
struct Tally {
    cuts: u64,
    /// The store was not as the process had seen it last.
    lost: u64,
    /// A segment or the journal had a torn tail, or segments were set aside.
    torn: u64,
    /// One or the other.
    either: u64,
    /// The cut came within a call, or at least before the next one.
    failed_calls: u64,
    calls: u64,
    without_journal: u64,
    tail: u64,
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

pub(crate) fn cuts() -> Result<(), String> {
    let wanted = number("STREAMLOG_CUTS", 24);
    let first = number("STREAMLOG_CUTS_SEED", u64::from(std::process::id()));
    let began = Instant::now();
    let mut tally = Tally::default();
    let mut seed = first;
    while tally.cuts < wanted {
        let kind = if seed.is_multiple_of(3) { Kind::Ext4WithoutJournal } else { Kind::Ext4 };
        let most = CUTS.min(wanted - tally.cuts);
        let mounted = Mounted::new(kind, 64)?;
        Machine::new(mounted, seed)
            .live(most, &mut tally)
            .map_err(|what| format!("STREAMLOG_CUTS_SEED={seed} STREAMLOG_CUTS={most}: {what}"))?;
        tally.without_journal += if kind == Kind::Ext4 { 0 } else { most };
        seed += 1;
    }
    println!("seeds {first} to {}, {:.1} s: {tally:?}", seed - 1, began.elapsed().as_secs_f64());
    if wanted >= 100 && tally.either * 3 < tally.cuts {
        return Err(format!("{} of {} cuts lost or tore something", tally.either, tally.cuts));
    }
    Ok(())
}

/// A file system and what is known of the store on it.
struct Machine {
    mounted: Mounted,
    seed: u64,
    config: Config,
    model: Model,
    serial: u64,
    rng: Rng,
    history: Vec<String>,
    /// The last cut came inside a recovery, so nobody may have heard of all that one did.
    interrupted: bool,
}

/// What a cut left to be judged by: the model when it had not begun for sure, and what the process
/// saw last.
struct Interrupted {
    before: Model,
    seen: Option<View>,
}

impl Machine {
    fn new(mounted: Mounted, seed: u64) -> Machine {
        let config = Plan::of(seed, true).config;
        Machine {
            mounted,
            seed,
            model: Model::new(config.level),
            config,
            serial: 0,
            rng: Rng::of(&[seed, 77]),
            history: Vec::new(),
            interrupted: false,
        }
    }

    fn dir(&self) -> PathBuf {
        self.mounted.root().join("store")
    }

    fn live(mut self, cuts: u64, tally: &mut Tally) -> Result<(), String> {
        let mut engine = self.open(None, tally)?;
        for life in 0..cuts {
            let left = self.work(engine, life, tally).map_err(|what| self.tell(&what))?;
            self.mounted.unmount()?;
            self.mounted.mount()?;
            tally.cuts += 1;
            engine = self.open(Some(left), tally).map_err(|what| self.tell(&what))?;
        }
        drop(engine);
        self.mounted.unmount()
    }

    fn tell(&self, what: &str) -> String {
        let last = self.history.len().saturating_sub(40);
        format!(
            "{what}\nlevel {:?}, after:\n{}",
            self.config.level,
            self.history[last..].join("\n")
        )
    }

    /// Opens the store twice and compares what is there with what may be there.
    fn open(&mut self, left: Option<Interrupted>, tally: &mut Tally) -> Result<Engine, String> {
        let (mut engine, view) = self.open_once()?;
        let before = left.as_ref().map_or(&self.model, |left| &left.before);
        let report = engine.store().recovery();
        let interrupted = std::mem::take(&mut self.interrupted);
        let told = Told { report: &told(&report), interrupted, now_ms: RealDisk::new().now_ms() };
        let facts = check(&view, before, &self.model, told).map_err(|found| text(&found))?;
        if let Some(left) = &left {
            let torn = report.journal.cut.is_some()
                || report.streams.iter().any(|s| s.cut.is_some() || !s.set_aside.is_empty());
            let lost = left.seen.as_ref().is_some_and(|seen| *seen != view);
            tally.lost += u64::from(lost);
            tally.torn += u64::from(torn);
            tally.either += u64::from(lost || torn);
            tally.tail += u64::from(facts.cut_tail);
        }
        engine.close().map_err(|fail| format!("the close failed: {fail:?}"))?;
        let mut again;
        (engine, again) = self.open_once()?;
        // What has become too old since the first opening went with this one.
        self.model = self.model.adopt(&again, &facts.lives);
        let mut view = view;
        for stream in view.streams.values_mut().chain(again.streams.values_mut()) {
            stream.let_age(RealDisk::new().now_ms());
        }
        if again != view {
            return Err(format!("opened again it shows {again:?} and not {view:?}"));
        }
        self.history.clear();
        Ok(engine)
    }

    fn open_once(&self) -> Result<(Engine, View), String> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
        let opened = Engine::open_at(disk, &self.dir(), &self.config);
        let mut engine = opened.map_err(|fail| format!("it does not open: {fail:?}"))?;
        let view = engine.view().map_err(|fail| format!("it cannot be read: {fail:?}"))?;
        Ok((engine, view))
    }

    /// Works until the power is cut, by another thread and in the middle of something.
    fn work(
        &mut self,
        engine: Engine,
        life: u64,
        tally: &mut Tally,
    ) -> Result<Interrupted, String> {
        let mut ops = Vec::new();
        for part in 0..4 {
            ops.extend(Plan::of(Rng::of(&[self.seed, life, part]).next(), true).ops);
        }
        let at = 10 + self.rng.index(ops.len() - 10);
        let how = match self.rng.below(10) {
            0 => How::Full,
            1..=3 => How::LogFlushed,
            _ => How::NothingFlushed,
        };
        let pages = self.rng.percent(60);
        let wait = Duration::from_micros(self.rng.below(3_000));
        let root = File::open(self.mounted.root()).map_err(|error| error.to_string())?;
        let begun = AtomicBool::new(false);
        let (mut engine, mut left) = (Some(engine), None);
        std::thread::scope(|scope| -> Result<(), String> {
            let mut cutter = None;
            for (n, op) in ops.iter().enumerate() {
                let mut before = self.model.clone();
                if n == at {
                    if pages {
                        write_some_pages(&self.dir(), &mut self.rng);
                    }
                    cutter = Some(scope.spawn(|| {
                        std::thread::sleep(wait);
                        begun.store(true, Ordering::SeqCst);
                        cut(&root, how)
                    }));
                }
                if self.act(op, &mut engine, &begun)? {
                    // What an opening returned is there from then on.
                    before = self.model.clone();
                }
                tally.calls += 1;
                if begun.load(Ordering::SeqCst) {
                    left = Some(before);
                    break;
                }
            }
            // The work may be over before the cut; then it comes between two calls.
            let cutter = cutter.ok_or("nobody cuts")?.join().map_err(|_| "the cut panicked")?;
            cutter.map_err(|error| format!("no cut: {error}"))
        })?;
        let before = left.unwrap_or_else(|| self.model.clone());
        let seen = engine.as_mut().and_then(|engine| engine.view().ok());
        tally.failed_calls += u64::from(self.history.last().is_some_and(|l| l.contains("Err(")));
        // Its syncs fail; nothing is left of it but what the disk has.
        drop(engine);
        Ok(Interrupted { before, seen })
    }

    /// Carries out one operation. Returns whether it opened the store anew.
    fn act(
        &mut self,
        op: &crate::sim::plan::Op,
        engine: &mut Option<Engine>,
        begun: &AtomicBool,
    ) -> Result<bool, String> {
        let now_ms = RealDisk::new().now_ms();
        let (config, model, serial) = (&self.config, &self.model, &mut self.serial);
        let action = Resolver { config, model, now_ms, serial, echo: &[] }.action(op);
        match action {
            Action::Call(call) => match engine {
                Some(engine) => self.call(engine, &call, now_ms, begun).map(|()| false),
                None => Ok(false),
            },
            Action::Reopen(level) => {
                self.config.level = level;
                self.model.always = level == Level::Always;
                self.reopen(engine, begun)
            }
            Action::Kill => self.reopen(engine, begun),
            Action::Clock(_) | Action::FailSync(_) | Action::FailSpace(_) => Ok(false),
        }
    }

    fn call(
        &mut self,
        engine: &mut Engine,
        call: &Call,
        now_ms: u64,
        begun: &AtomicBool,
    ) -> Result<(), String> {
        let got = engine.call(call);
        self.history.push(format!("{call:?} -> {got:?}"));
        let seen = look_at_groups(engine, call).unwrap_or_default();
        let faulted = begun.load(Ordering::SeqCst);
        let until_ms = RealDisk::new().now_ms();
        let moment = Moment { now_ms, until_ms, faulted, seen: &seen };
        // Whatever a dying file system answers is no answer to the question.
        let got = match got {
            Err(Fail::Refused(text) | Fail::Wrong(text)) if faulted => Err(Fail::Unsure(text)),
            got => got,
        };
        self.model.learn(call, &got, &moment).map_err(|found| text(&found))
    }

    fn reopen(&mut self, engine: &mut Option<Engine>, begun: &AtomicBool) -> Result<bool, String> {
        let Some(open) = engine.take() else { return Ok(false) };
        let closed = open.close();
        self.history.push(format!("close -> {closed:?}"));
        match closed {
            Ok(()) => self.model.settle(),
            Err(_) if begun.load(Ordering::SeqCst) => return Ok(false),
            Err(fail) => return Err(format!("the close failed: {fail:?}")),
        }
        match self.open_once() {
            Ok((opened, view)) => {
                let mut all = self.model.clone();
                all.settle();
                let report = told(&opened.store().recovery());
                let told =
                    Told { report: &report, interrupted: false, now_ms: RealDisk::new().now_ms() };
                let facts = check(&view, &all, &self.model, told).map_err(|found| text(&found))?;
                self.model = self.model.adopt(&view, &facts.lives);
                *engine = Some(opened);
                Ok(true)
            }
            Err(_) if begun.load(Ordering::SeqCst) => {
                self.interrupted = true;
                Ok(false)
            }
            Err(what) => Err(what),
        }
    }
}

fn text(found: &Violation) -> String {
    format!("{}: {}", found.clause, found.text)
}
