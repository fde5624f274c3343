//! From one capture to many images, and from each image through recovery to a verdict.
//!
//! Every image is recovered; what is found is judged against the models. From the recovered state
//! the power is cut again at once and the second recovery must find the same (C3). Then the store
//! must take new entries. One image in five is followed further: the power is cut inside its
//! recovery, or while the new entries are appended, and it all begins again, up to three deep.

use super::call::{Answer, Call, Content, Fail, Name, Subject, View, WantId};
use super::check::{Facts, check};
use super::disk::{Capture, SimDisk};
use super::image::{Image, Mode};
use super::learn::Moment;
use super::model::{Model, Violation, broken};
use super::names::NodeId;
use super::plan::Config;
use super::rng::{Rng, mix};
use super::stats::{Place, Stats};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

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

/// Opens the store and looks at all of it.
pub fn recover<S: Subject>(disk: &SimDisk, config: &Config) -> Result<(S, View), Violation> {
    let opened = guarded(|| {
        let mut store = S::open(disk, config)?;
        let view = store.view()?;
        Ok((store, view))
    })?;
    opened.or_else(|fail: Fail| broken("open", format!("the store does not open: {fail:?}")))
}

/// Judges images, as many of each capture as `images` says.
pub struct Explorer<'a> {
    pub config: &'a Config,
    pub seed: u64,
    pub images: u64,
    /// Only this image of each capture: a replay.
    pub only: Option<u64>,
    pub stats: Stats,
    /// Images that were judged against the present models.
    judged: HashSet<u64>,
}

/// What one image is judged by.
#[derive(Clone, Copy)]
struct Bounds<'a> {
    before: &'a Model,
    after: &'a Model,
}

impl<'a> Explorer<'a> {
    pub fn new(config: &'a Config, seed: u64, images: u64) -> Explorer<'a> {
        Explorer {
            config,
            seed,
            images,
            only: None,
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
            None => 0..self.images,
        };
        for number in numbers {
            let image = Image::make(capture, number, self.seed);
            if !self.judged.insert(image.hash) && self.only.is_none() {
                continue;
            }
            let mut choices = vec![image.choices.clone()];
            let seed = mix(self.seed, mix(capture.step, number));
            let bounds = Bounds { before, after };
            self.count(&image, &extremes, in_recovery);
            let judged = self.judge::<S>(&image, bounds, Rng::of(&[seed]), 1, &mut choices);
            judged.map_err(|violation| {
                let place =
                    Place { step: capture.step, what: capture.what, image: number, choices };
                (violation, place)
            })?;
        }
        Ok(())
    }

    /// Returns whether the image is a new one.
    fn count(&mut self, image: &Image, extremes: &Extremes, in_recovery: bool) {
        self.stats.states += 1;
        self.stats.note(image.hash);
        if self.stats.hashes.insert(image.hash) {
            self.stats.differ_from_old += u64::from(image.hash != extremes.old);
            self.stats.differ_from_current += u64::from(image.hash != extremes.current);
            self.stats.lost_name += u64::from(image.lost_name);
            self.stats.in_recovery += u64::from(in_recovery);
            self.stats.spanned_roll += u64::from(extremes.spans_roll);
        }
    }

    fn judge<S: Subject>(
        &mut self,
        image: &Image,
        bounds: Bounds,
        mut rng: Rng,
        depth: u32,
        choices: &mut Vec<String>,
    ) -> Result<(), Violation> {
        let disk = image.boot();
        let (store, view) = recover::<S>(&disk, self.config)?;
        let steps = disk.steps();
        let facts = check(&view, bounds.before, bounds.after)?;
        self.stats.cut_tail += u64::from(facts.cut_tail);
        self.stats.note(steps);
        let capture = disk.capture();
        drop(store);
        let number = rng.pick(&[0, 0, 1, 2, 3]);
        let second = Image::make(&capture, number, rng.next());
        let (store, model) = self.recover_again(&second, &view, &facts, bounds.after, choices)?;
        let goes_on = depth < DEEPEST && rng.percent(20);
        if goes_on && rng.percent(50) {
            let inside = 1 + rng.below(steps);
            self.cut_recovery::<S>(image, inside, bounds, &mut rng, depth, choices)?;
        }
        let (disk, store) = store;
        let limit = if goes_on { 1 + rng.below(40) } else { 0 };
        disk.want((limit > 0).then(|| disk.steps() + limit));
        self.append_more::<S>(&disk, store, model, &mut rng, depth, choices)
    }

    /// The power is cut right after the recovery; the next one must find the same.
    fn recover_again<S: Subject>(
        &mut self,
        image: &Image,
        first: &View,
        facts: &Facts,
        after: &Model,
        choices: &mut Vec<String>,
    ) -> Result<((SimDisk, S), Model), Violation> {
        let disk = image.boot();
        let recovered = recover::<S>(&disk, self.config);
        let second = recovered.and_then(|(store, second)| match second == *first {
            true => Ok(store),
            false => broken("C3", difference(first, &second)),
        });
        match second {
            Ok(store) => Ok(((disk, store), after.adopt(first, &facts.lives))),
            Err(violation) => {
                choices.push(format!("after the recovery: {}", image.choices));
                Err(violation)
            }
        }
    }

    fn cut_recovery<S: Subject>(
        &mut self,
        image: &Image,
        step: u64,
        bounds: Bounds,
        rng: &mut Rng,
        depth: u32,
        choices: &mut Vec<String>,
    ) -> Result<(), Violation> {
        let disk = image.boot();
        disk.want([step]);
        drop(recover::<S>(&disk, self.config)?);
        for capture in disk.take_captures() {
            let nested = Image::make(&capture, rng.below(6), rng.next());
            choices.push(format!("in step {step} ({}): {}", capture.what, nested.choices));
            self.count(&nested, &Extremes::of::<S>(&capture), true);
            self.judge::<S>(&nested, bounds, Rng::of(&[rng.next()]), depth + 1, choices)?;
            choices.pop();
        }
        Ok(())
    }

    /// A recovered store takes entries; all of them can be read.
    fn append_more<S: Subject>(
        &mut self,
        disk: &SimDisk,
        mut store: S,
        mut model: Model,
        rng: &mut Rng,
        depth: u32,
        choices: &mut Vec<String>,
    ) -> Result<(), Violation> {
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
        for part in 0..3 {
            let size = rng.pick(&[1, 30, 600, self.config.segment_bytes as usize / 2]);
            let serial = format!("{serial}.{part}");
            let value = vec![b'x'; size];
            calls.push(Call::Append {
                stream: stream.clone(),
                content: Content::of([(&b"n"[..], serial.as_bytes()), (b"v", &value)]),
                id: WantId::Auto,
                durable: false,
            });
        }
        for call in calls {
            let before = model.clone();
            let answer: Result<Answer, Fail> = guarded(|| store.call(&call))?;
            if let Err(fail) = &answer {
                return broken("open", format!("a recovered store fails {call:?}: {fail:?}"));
            }
            let moment = Moment { now_ms: disk.clock(), faulted: false, seen: None };
            model.learn(&call, &answer, &moment)?;
            for capture in disk.take_captures() {
                let nested = Image::make(&capture, rng.below(6), rng.next());
                choices.push(format!("in {call:?} ({}): {}", capture.what, nested.choices));
                self.count(&nested, &Extremes::of::<S>(&capture), true);
                let bounds = Bounds { before: &before, after: &model };
                self.judge::<S>(&nested, bounds, Rng::of(&[rng.next()]), depth + 1, choices)?;
                choices.pop();
            }
        }
        let view = guarded(|| store.view())?;
        let view = view.or_else(|fail| broken("C2", format!("cannot be read: {fail:?}")))?;
        model.settle();
        check(&view, &model, &model).map(drop)
    }
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
        for ((dir, name), node) in &current.tree {
            let file = capture.files.get(node);
            let open = file.is_some_and(|file| !file.dirty.is_empty() || file.len != file.disk_len);
            let moved = capture.durable.get(&(*dir, name.clone())) != Some(node);
            if S::holds_entries(name) && (open || moved) {
                *unsynced.entry(*dir).or_default() += 1;
            }
        }
        Extremes {
            old: Image::extreme(capture, Mode::AllOld).hash,
            current: current.hash,
            spans_roll: unsynced.values().any(|count| *count > 1),
        }
    }
}
