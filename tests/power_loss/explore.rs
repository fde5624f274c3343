//! From one capture to many images, and from each image through recovery to a verdict.
//!
//! Every image is recovered; what is found is judged against the models. From the recovered state
//! the power is cut again at once and the second recovery must find the same (C3). Then the store
//! must take new entries. One image in five is followed further: the power is cut inside its
//! recovery, or while the new entries are appended, and it all begins again, up to three deep.

use super::call::View;
use super::call::WantId;
use super::call::{Answer, Call, Content, Fail, GroupKey, GroupView, Name, Report, Subject};
use super::check::{Facts, Told, check, check_kept, no_recovery};
use super::disk::{Capture, SimDisk};
use super::image::{Choice, Image, Mode};
use super::learn::Moment;
use super::minimise::minimise;
use super::model::{Model, Violation, broken};
use super::names::NodeId;
use super::plan::Config;
use super::resolve::some_key;
use super::rng::{Rng, mix};
use super::stats::{Place, Stats};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const DEEPEST: u32 = 3;

thread_local! {
    /// Where and why the code under test panicked last.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the text of a panic for the report instead of printing it.
pub fn keep_panics() {
    std::panic::set_hook(Box::new(|info| {
        PANIC.with(|panic| *panic.borrow_mut() = info.to_string());
    }));
}

/// The text of the last panic of this thread.
pub fn last_panic() -> String {
    PANIC.with(|panic| panic.borrow().clone())
}

/// Calls the code under test. A panic is a finding.
pub fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Violation> {
    catch_unwind(AssertUnwindSafe(call)).or_else(|_| broken("panic", last_panic()))
}

/// A store that was opened and looked at.
pub struct Opened<S> {
    pub store: S,
    pub view: View,
    pub report: Report,
}

/// Opens the store and looks at all of it.
pub fn recover<S: Subject>(disk: &SimDisk, config: &Config) -> Result<Opened<S>, Violation> {
    let opened = guarded(|| {
        let mut store = S::open(disk, config)?;
        let view = store.view()?;
        Ok((store, view))
    })?;
    let opened =
        opened.or_else(|fail: Fail| broken("open", format!("the store does not open: {fail:?}")));
    let (mut store, view) = opened?;
    let report = guarded(|| store.report(disk))?.or_else(|text| broken("C13", text))?;
    Ok(Opened { store, view, report })
}

/// What the groups that a call names look like behind it, those that are there.
pub fn look_at_groups<S: Subject>(
    store: &mut S,
    call: &Call,
) -> Result<BTreeMap<GroupKey, GroupView>, Violation> {
    let mut seen = BTreeMap::new();
    for key in call.groups() {
        match guarded(|| store.group(key))? {
            Ok(Some(view)) => drop(seen.insert(key.clone(), view)),
            // Refused: the stream is gone, which the call has to answer for.
            Ok(None) | Err(Fail::Refused(_)) => {}
            Err(fail) => return broken("call", format!("no state: {fail:?}")),
        }
    }
    Ok(seen)
}

/// Judges images, as many of each capture as `images` says.
pub struct Explorer {
    /// As the next store is opened; the level changes within a run.
    pub config: Config,
    pub seed: u64,
    pub images: u64,
    /// All images of each capture, chosen without chance.
    pub all: bool,
    /// Only this image of each capture: a replay.
    pub only: Option<u64>,
    /// How long a violation may be made smaller, choice by choice.
    pub minimise: Option<Duration>,
    pub stats: Stats,
    /// Images that were judged against the present models.
    judged: HashSet<u64>,
}

/// What one image is judged by.
#[derive(Clone, Copy)]
struct Bounds<'a> {
    before: &'a Model,
    after: &'a Model,
    /// The image was taken while a recovery ran.
    interrupted: bool,
}

/// A violation, and which images led to it.
struct Broken {
    violation: Violation,
    /// The innermost first.
    trail: Vec<String>,
}

type Judged = Result<(), Broken>;

impl From<Violation> for Broken {
    fn from(violation: Violation) -> Broken {
        Broken { violation, trail: Vec::new() }
    }
}

impl Broken {
    fn within(mut self, place: impl FnOnce() -> String) -> Broken {
        self.trail.push(place());
        self
    }
}

impl Explorer {
    pub fn new(config: Config, seed: u64, images: u64) -> Explorer {
        Explorer {
            config,
            seed,
            images,
            all: images == u64::MAX,
            only: None,
            minimise: None,
            stats: Stats::default(),
            judged: HashSet::new(),
        }
    }

    /// The models are about to change: images have to be judged again.
    pub fn models_changed(&mut self) {
        self.judged.clear();
    }

    pub fn explore<S: Subject>(
        &mut self,
        capture: &Capture,
        before: &Model,
        after: &Model,
        in_recovery: bool,
    ) -> Result<(), (Violation, Place)> {
        let extremes = Extremes::of::<S>(capture);
        let numbers = match self.only {
            Some(number) => number..number + 1,
            None if self.all => 0..Choice::count(capture),
            None => 0..self.images,
        };
        let bounds = Bounds { before, after, interrupted: in_recovery };
        for number in numbers {
            let choice = match self.all {
                true => Choice::nth(capture, number),
                false => choice_of(capture, number, self.seed, after),
            };
            let image = Image::of(capture, &choice);
            if !self.judged.insert(image.hash) && self.only.is_none() {
                continue;
            }
            let seed = mix(self.seed, mix(capture.step, number));
            let new = self.count(&image, &extremes, in_recovery);
            let judged = self.judge::<S>(&image, bounds, Rng::of(&[seed]), 1, new);
            if let Err(broken) = judged {
                let mut place = Place {
                    step: capture.step,
                    what: capture.what,
                    image: number,
                    choices: vec![choice.to_string()],
                    difference: Vec::new(),
                };
                place.choices.extend(broken.trail.into_iter().rev());
                if let Some(limit) = self.minimise {
                    let clause = broken.violation.clause;
                    let again = |image: &Image| {
                        let judged = self.judge::<S>(image, bounds, Rng::of(&[seed]), 1, false);
                        judged.is_err_and(|other| other.violation.clause == clause)
                    };
                    place.difference = minimise(capture, choice, limit, again);
                }
                return Err((broken.violation, place));
            }
        }
        Ok(())
    }

    /// Returns whether the image is a new one.
    fn count(&mut self, image: &Image, extremes: &Extremes, in_recovery: bool) -> bool {
        self.stats.states += 1;
        self.stats.note(image.hash);
        let new = self.stats.hashes.insert(image.hash);
        if new {
            self.stats.differ_from_old += u64::from(image.hash != extremes.old);
            self.stats.differ_from_current += u64::from(image.hash != extremes.current);
            self.stats.lost_name += u64::from(image.lost_name);
            self.stats.in_recovery += u64::from(in_recovery);
            self.stats.spanned_roll += u64::from(extremes.spans_roll);
        }
        new
    }

    fn judge<S: Subject>(
        &mut self,
        image: &Image,
        bounds: Bounds,
        mut rng: Rng,
        depth: u32,
        new: bool,
    ) -> Judged {
        let disk = image.boot();
        let Opened { store, view, report } = recover::<S>(&disk, &self.config)?;
        let steps = disk.steps();
        let now_ms = disk.clock();
        let told = Told { report: &report, interrupted: bounds.interrupted, now_ms };
        let facts = check(&view, bounds.before, bounds.after, told)?;
        check_kept(&view, now_ms)?;
        self.stats.cut_tail += u64::from(new && facts.cut_tail);
        self.stats.note(steps);
        let capture = disk.capture();
        forget(&disk, store)?;
        let number = rng.pick(&[0, 0, 1, 2, 3]);
        let choice = choice_of(&capture, number, rng.next(), bounds.after);
        let second = Image::of(&capture, &choice);
        let again = self.recover_again(&second, &view, &facts, bounds.after);
        let (disk, store, model) = again.map_err(|violation| {
            Broken::from(violation).within(|| format!("after the recovery: {choice}"))
        })?;
        let goes_on = depth < DEEPEST && rng.percent(20);
        if goes_on && rng.percent(50) {
            let inside = 1 + rng.below(steps);
            self.cut_recovery::<S>(image, inside, bounds, &mut rng, depth)?;
        }
        let limit = if goes_on { 1 + rng.below(40) } else { 0 };
        disk.want((limit > 0).then(|| disk.steps() + limit));
        self.go_on::<S>(&disk, store, model, &mut rng, depth)
    }

    /// The power is cut right after the recovery; the next one must find the same, but for what has
    /// become too old since then.
    fn recover_again<S: Subject>(
        &mut self,
        image: &Image,
        first: &View,
        facts: &Facts,
        after: &Model,
    ) -> Result<(SimDisk, S, Model), Violation> {
        let disk = image.boot();
        let Opened { store, view: second, .. } = recover::<S>(&disk, &self.config)?;
        let mut first = first.clone();
        first.streams.values_mut().for_each(|stream| stream.let_age(disk.clock()));
        if second != first {
            return broken("C3", difference(&first, &second));
        }
        Ok((disk, store, after.adopt(&second, &facts.lives)))
    }

    fn cut_recovery<S: Subject>(
        &mut self,
        image: &Image,
        step: u64,
        bounds: Bounds,
        rng: &mut Rng,
        depth: u32,
    ) -> Judged {
        let disk = image.boot();
        disk.want([step]);
        let store = recover::<S>(&disk, &self.config)?.store;
        forget(&disk, store)?;
        let bounds = Bounds { interrupted: true, ..bounds };
        for capture in disk.take_captures() {
            let place = |what: &str| format!("in step {step} ({what})");
            self.nested::<S>(&capture, bounds, rng, depth, place)?;
        }
        Ok(())
    }

    /// One image of a capture that was taken behind another image's recovery or in it.
    fn nested<S: Subject>(
        &mut self,
        capture: &Capture,
        bounds: Bounds,
        rng: &mut Rng,
        depth: u32,
        place: impl FnOnce(&str) -> String,
    ) -> Judged {
        let choice = choice_of(capture, rng.below(6), rng.next(), bounds.after);
        let image = Image::of(capture, &choice);
        let new = self.count(&image, &Extremes::of::<S>(capture), bounds.interrupted);
        let judged = self.judge::<S>(&image, bounds, Rng::of(&[rng.next()]), depth + 1, new);
        judged.map_err(|broken| broken.within(|| format!("{}: {choice}", place(capture.what))))
    }

    /// A recovered store takes entries and gives them out; all of them can be read.
    fn go_on<S: Subject>(
        &mut self,
        disk: &SimDisk,
        mut store: S,
        mut model: Model,
        rng: &mut Rng,
        depth: u32,
    ) -> Judged {
        for call in next_calls(&model, &self.config, S::TAKES_ALL, rng) {
            let before = model.clone();
            let answer: Result<Answer, Fail> = guarded(|| store.call(&call))?;
            if let Err(fail) = &answer {
                return Ok(broken("open", format!("a recovered store fails {call:?}: {fail:?}"))?);
            }
            let seen = look_at_groups(&mut store, &call)?;
            let now_ms = disk.clock();
            let moment = Moment { now_ms, until_ms: now_ms, faulted: false, seen: &seen };
            model.learn(&call, &answer, &moment)?;
            for capture in disk.take_captures() {
                let bounds = Bounds { before: &before, after: &model, interrupted: false };
                let place = |what: &str| format!("in {call:?} ({what})");
                self.nested::<S>(&capture, bounds, rng, depth, place)?;
            }
        }
        let view = guarded(|| store.view())?;
        let view = view.or_else(|fail| broken("C2", format!("cannot be read: {fail:?}")))?;
        let told = no_recovery(disk.clock());
        forget(disk, store)?;
        model.settle();
        Ok(check(&view, &model, &model, told).map(drop)?)
    }
}

/// What a recovered store is asked to do: three appends, and to drain one of its groups.
fn next_calls(model: &Model, config: &Config, takes_all: bool, rng: &mut Rng) -> Vec<Call> {
    let names: Vec<_> = model.names.last().keys().cloned().collect();
    let mut calls = Vec::new();
    let stream = match names.is_empty() {
        true => Name::from(&b"s0"[..]),
        false => names[rng.index(names.len())].clone(),
    };
    if names.is_empty() {
        calls.push(Call::CreateStream(stream.clone()));
    }
    let serial = rng.next();
    // The second of two is a duplicate, and the first may be one.
    let again = (takes_all && rng.percent(50)).then(|| some_key(rng));
    for part in 0..3 {
        let size = rng.pick(&[1, 30, 600, config.segment_bytes as usize / 2]);
        let serial = format!("{serial}.{part}");
        let value = vec![b'x'; size];
        calls.push(Call::Append {
            stream: stream.clone(),
            content: Content::of([(&b"n"[..], serial.as_bytes()), (b"v", &value)]),
            id: WantId::Auto,
            durable: false,
            trim: None,
            key: again.clone().filter(|_| part < 2),
        });
    }
    let groups = model.stream(&stream).map(|life| life.groups.last());
    let groups: Vec<_> = groups.into_iter().flat_map(BTreeMap::keys).collect();
    if !groups.is_empty() && rng.percent(50) {
        let group = groups[rng.index(groups.len())].clone();
        let key = GroupKey { stream, group };
        let consumer = Name::from(rng.pick(&[&b"c0"[..], b"c1", b"late"]));
        // The second finds nothing: the first has taken all.
        for count in [1_000, 1] {
            let (key, consumer) = (key.clone(), consumer.clone());
            calls.push(Call::Read { key, consumer, count, no_ack: false });
        }
    }
    calls
}

/// A random choice. The clock does not go back where entries grow too old.
fn choice_of(capture: &Capture, number: u64, seed: u64, model: &Model) -> Choice {
    let mut choice = Choice::make(capture, number, seed);
    if model.ages() {
        choice.world.now_ms = choice.world.now_ms.max(capture.world.now_ms);
    }
    choice
}

/// The process dies; what its destructors do reaches nothing.
fn forget<S>(disk: &SimDisk, store: S) -> Result<(), Violation> {
    disk.end_life();
    guarded(|| drop(store))
}

/// The first thing that the second view has differently.
fn difference(first: &View, second: &View) -> String {
    for (name, stream) in &first.streams {
        let Some(other) = second.streams.get(name) else {
            break;
        };
        if stream.entries != other.entries {
            let (was, is) = (&stream.entries, &other.entries);
            return format!("the second recovery finds other entries: {was:?}, then {is:?}");
        }
        if stream != other {
            return format!("the second recovery finds another state: {stream:?}, then {other:?}");
        }
    }
    let names = |view: &View| view.streams.keys().cloned().collect::<Vec<_>>();
    format!("the second recovery finds the streams {:?}, {:?}", names(first), names(second))
}

/// What the images of a capture lie between.
struct Extremes {
    old: u64,
    current: u64,
    spans_roll: bool,
}

impl Extremes {
    fn of<S: Subject>(capture: &Capture) -> Extremes {
        let current = Image::extreme(capture, Mode::AllCurrent);
        let mut unsynced: BTreeMap<NodeId, u32> = BTreeMap::new();
        for (dir, name, node) in current.tree.all() {
            let file = capture.files.get(&node);
            let open = file.is_some_and(|file| !file.dirty.is_empty() || file.len != file.disk_len);
            let moved = capture.durable.get(dir, name) != Some(node);
            if S::holds_entries(name) && (open || moved) {
                *unsynced.entry(dir).or_default() += 1;
            }
        }
        Extremes {
            old: Image::extreme(capture, Mode::AllOld).hash,
            current: current.hash,
            spans_roll: unsynced.values().any(|count| *count > 1),
        }
    }
}
