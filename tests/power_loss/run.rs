//! One run: the operations of a plan, carried out on a simulated disk, with the power cut at
//! chosen steps.
//!
//! A run is made twice. The first time no power is cut; it counts the steps and says what each one
//! is. The second time captures are taken at the chosen steps, and each is explored as soon as the
//! call it lies in has answered. Both times everything must happen in the same way.

use super::call::{Answer, Call, Fail, Subject};
use super::check::{Told, check, no_recovery};
use super::disk::{Capture, Faults, SimDisk, World};
use super::explore::{Explorer, Opened, guarded, look_at_groups, recover};
use super::learn::Moment;
use super::model::{Model, Violation, broken};
use super::plan::{CROWDED, Level, Plan};
use super::resolve::{Action, Resolver};
use super::rng::Rng;
use super::stats::{Found, Place, Stats};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How much of a run is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// How many steps are captured.
    pub captures: usize,
    /// How many images are made of each; `u64::MAX`: all of them.
    pub images: u64,
}

/// One step and one image of it.
#[derive(Clone, Copy, Debug)]
pub struct Replay {
    pub step: u64,
    pub image: u64,
    /// How long the choices of the image may be made fewer.
    pub minimise: Duration,
}

/// A run as it goes.
struct Run<S> {
    disk: SimDisk,
    store: Option<S>,
    model: Model,
    serial: u64,
    /// The failures that had been injected when this life began.
    faults_before: u64,
    explorer: Explorer,
    history: Vec<(Action, Option<Result<Answer, Fail>>)>,
    place: Option<Place>,
}

type Went = Result<(), Violation>;

/// Carries out a plan and looks at it as the budget says, or at one image only.
pub fn run<S: Subject>(
    plan: &Plan,
    budget: Budget,
    replay: Option<Replay>,
) -> Result<Stats, Box<Found>> {
    run_cut::<S>(plan, budget, replay, |log| choose_steps(log, budget.captures, plan.seed))
}

/// Cuts the power at the steps that are chosen from all that there are. (What they are is counted
/// from 0, and they themselves from 1.)
pub fn run_cut<S: Subject>(
    plan: &Plan,
    budget: Budget,
    replay: Option<Replay>,
    choose: impl FnOnce(&[&'static str]) -> BTreeSet<u64>,
) -> Result<Stats, Box<Found>> {
    let mut probe = Run::<S>::new(plan, budget);
    probe.disk.keep_log();
    probe.carry_out(plan)?;
    let log = probe.disk.take_log();
    let mut real = Run::<S>::new(plan, budget);
    match replay {
        Some(replay) => {
            real.explorer.only = Some(replay.image);
            real.explorer.minimise = Some(replay.minimise);
            real.disk.want([replay.step]);
        }
        None => real.disk.want(choose(&log)),
    }
    real.carry_out(plan)?;
    if real.disk.trace() != probe.disk.trace() {
        let violation = broken::<()>("determinism", "two runs of one plan differ").unwrap_err();
        return Err(real.found(violation));
    }
    let mut stats = real.explorer.stats;
    stats.runs = 1;
    let count = |what| log.iter().filter(|step| **step == what).count() as u64;
    [stats.grown, stats.widened] = GROWN.map(count);
    stats.note(real.disk.trace());
    Ok(stats)
}

/// The steps at which journal files have become longer.
const GROWN: [&str; 2] = ["journal grown", "journal widened"];

/// Half of the steps by their kind, so that rare ones are hit; half of them as they come, or where
/// journal files grow if the run is about that.
fn choose_steps(log: &[&'static str], count: usize, seed: u64) -> BTreeSet<u64> {
    let mut rng = Rng::of(&[seed, 3]);
    let mut by_kind: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (index, what) in log.iter().enumerate() {
        by_kind.entry(what).or_default().push(index as u64 + 1);
    }
    let grown = GROWN.iter().filter_map(|what| by_kind.get(what)).flatten().copied();
    let grown: Vec<u64> = grown.filter(|_| seed >= CROWDED).collect();
    let kinds: Vec<Vec<u64>> = by_kind.into_values().collect();
    let mut chosen = BTreeSet::new();
    for turn in 0..count {
        if log.is_empty() {
            break;
        }
        if turn % 2 == 0 {
            let steps = &kinds[rng.index(kinds.len())];
            chosen.insert(steps[rng.index(steps.len())]);
        } else if !grown.is_empty() && rng.percent(50) {
            // From the first file that is made longer to the checkpoint behind it.
            let around = (grown[rng.index(grown.len())] + rng.below(40)).saturating_sub(8);
            chosen.insert(around.clamp(1, log.len() as u64));
        } else {
            chosen.insert(1 + rng.below(log.len() as u64));
        }
    }
    chosen
}

impl<S: Subject> Run<S> {
    fn new(plan: &Plan, budget: Budget) -> Run<S> {
        let config = &plan.config;
        let world = World {
            seed: plan.seed,
            write_back: config.write_back,
            sync_all: config.sync_all,
            now_ms: 1_700_000_000_000,
        };
        let disk = SimDisk::empty(world);
        disk.keep_trace();
        Run {
            disk,
            store: None,
            model: Model::new(config.level),
            serial: 0,
            faults_before: 0,
            explorer: Explorer::new(config.clone(), plan.seed, budget.images),
            history: Vec::new(),
            place: None,
        }
    }

    fn found(&self, violation: Violation) -> Box<Found> {
        let history = self.history.iter().map(|(action, got)| match got {
            Some(got) => format!("{action:?} -> {got:?}"),
            None => format!("{action:?}"),
        });
        Box::new(Found {
            violation,
            place: self.place.clone(),
            history: history.collect(),
            states: self.explorer.stats.states,
        })
    }

    fn carry_out(&mut self, plan: &Plan) -> Result<(), Box<Found>> {
        let went = self.open();
        went.map_err(|violation| self.found(violation))?;
        for op in &plan.ops {
            let echo = self.disk.echo(&mut Rng::of(&[op.dice, 4]));
            let mut resolver = Resolver {
                config: &self.explorer.config,
                model: &self.model,
                now_ms: self.disk.clock(),
                serial: &mut self.serial,
                echo: &echo,
            };
            let action = resolver.action(op);
            let went = self.act(action).and_then(|()| self.between_operations());
            went.map_err(|violation| self.found(violation))?;
        }
        let went = self.look_at_all();
        went.map_err(|violation| self.found(violation))
    }

    fn act(&mut self, action: Action) -> Went {
        self.history.push((action.clone(), None));
        match action {
            Action::Call(call) => self.call(&call),
            Action::Reopen(level) => {
                let store = self.store.take();
                let closed = store.map(|store| guarded(|| store.close())).transpose()?;
                let captures = self.disk.take_captures();
                self.explore(&captures, &self.model.clone(), false)?;
                match closed {
                    Some(Err(fail)) if !self.faulted() => {
                        return broken("close", format!("close failed: {fail:?}"));
                    }
                    Some(Ok(())) => self.model.settle(),
                    _ => {}
                }
                self.explorer.models_changed();
                self.explorer.config.level = level;
                self.model.always = level == Level::Always;
                self.disk = self.disk.next_life();
                self.open()
            }
            Action::Kill => {
                let dead = self.store.take();
                self.disk = self.disk.next_life();
                // What the old process still does reaches nothing.
                guarded(|| drop(dead))?;
                self.open()
            }
            Action::Clock(ms) => {
                if ms > 0 || !self.model.ages() {
                    self.disk.move_clock(ms);
                }
                Ok(())
            }
            Action::FailSync(after) => {
                self.disk.set_faults(Faults { sync_in: Some(after), space_in: None });
                Ok(())
            }
            Action::FailSpace(after) => {
                self.disk.set_faults(Faults { sync_in: None, space_in: Some(after) });
                Ok(())
            }
        }
    }

    fn faulted(&self) -> bool {
        self.disk.faulted() > self.faults_before
    }

    /// Opens the store and takes what it returns for the truth, if it may be true.
    fn open(&mut self) -> Went {
        self.faults_before = self.disk.faulted();
        let mut interrupted = false;
        let mut opened = recover::<S>(&self.disk, &self.explorer.config);
        if opened.is_err() && self.faulted() {
            // The disk failed the open; the next one has to do.
            interrupted = true;
            let model = self.model.clone();
            let captures = self.disk.take_captures();
            self.explore(&captures, &model, true)?;
            self.disk = self.disk.next_life();
            self.faults_before = self.disk.faulted();
            opened = recover::<S>(&self.disk, &self.explorer.config);
        }
        let captures = self.disk.take_captures();
        let model = self.model.clone();
        self.explore(&captures, &model, true)?;
        let Opened { store, view, report } = opened?;
        // The machine went on: all that was answered is there.
        let mut all = self.model.clone();
        all.settle();
        let told = Told { report: &report, interrupted, now_ms: self.disk.clock() };
        let facts = check(&view, &all, &self.model, told)?;
        self.model = self.model.adopt(&view, &facts.lives);
        self.explorer.models_changed();
        self.store = Some(store);
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Went {
        let Some(mut store) = self.store.take() else {
            return Ok(());
        };
        let before = self.model.clone();
        let now_ms = self.disk.clock();
        let got = guarded(|| store.call(call))?;
        let captures = self.disk.take_captures();
        self.explorer.stats.calls += 1;
        self.explorer.stats.failed_calls += u64::from(got.is_err());
        if let Some((_, answer)) = self.history.last_mut() {
            *answer = Some(got.clone());
        }
        let seen = look_at_groups(&mut store, call);
        self.store = Some(store);
        let moment = Moment { now_ms, until_ms: now_ms, faulted: self.faulted(), seen: &seen? };
        self.model.learn(call, &got, &moment)?;
        self.explorer.models_changed();
        self.explore(&captures, &before, false)?;
        self.explorer.models_changed();
        Ok(())
    }

    /// Explores captures that were taken while the model went from `before` to what it is now.
    fn explore(&mut self, captures: &[Capture], before: &Model, in_recovery: bool) -> Went {
        let after = &self.model;
        for capture in captures {
            let explored = self.explorer.explore::<S>(capture, before, after, in_recovery);
            if let Err((violation, place)) = explored {
                self.place = Some(place);
                return Err(violation);
            }
        }
        Ok(())
    }

    fn between_operations(&mut self) -> Went {
        self.disk.boundary();
        let captures = self.disk.take_captures();
        let model = self.model.clone();
        self.explore(&captures, &model, false)
    }

    /// Nothing is lost without a crash either.
    fn look_at_all(&mut self) -> Went {
        let Some(store) = &mut self.store else {
            return Ok(());
        };
        let view = guarded(|| store.view())?;
        let view = view.or_else(|fail| broken("C2", format!("cannot be read: {fail:?}")))?;
        let mut all = self.model.clone();
        all.settle();
        check(&view, &all, &self.model, no_recovery(self.disk.clock())).map(drop)
    }
}
