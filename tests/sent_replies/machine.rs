//! The engine and its clients on a simulated disk, and the power that is cut.
//!
//! What the event loop does is done here step by step: see `src/resp/turns/sending.rs`. A sync may
//! take its time: commands are run behind what it has found. (None are run while a file is synced:
//! a call that waits for the end of that sync would wait for its own thread.)

use super::told::{History, Scope, ids_in};
use super::view::{self, View};
use super::words::{Command, Dice};
use crate::resp::config::Config;
use crate::resp::engine::Engine;
use crate::sim::disk::{Capture, SimDisk, World};
use crate::sim::image::Image;
use crate::sim::rng::Rng;
use crate::{EntryId, Error, Store};
use std::collections::{BTreeSet, HashSet, VecDeque};

/// What all runs have seen.
#[derive(Debug, Default)]
pub struct Stats {
    /// Different states that were judged.
    pub states: u64,
    pub commands: u64,
    pub syncs: u64,
    /// Replies that were sent.
    pub told: u64,
    /// Times at which a reply could not be sent.
    pub held: u64,
    /// Clients that were served because of another one's command.
    pub woken: u64,
    /// States that were not what the server had in hand.
    pub lost: u64,
    pub in_commands: u64,
    pub in_syncs: u64,
}

/// A promise that was broken.
#[derive(Debug)]
pub struct Wrong {
    pub what: String,
    pub commands: Vec<String>,
}

type Went = Result<(), String>;

/// Commands in a life, and lives in a run.
const COMMANDS: u64 = 40;
const LIVES: u64 = 3;
const CLIENTS: usize = 3;
/// Images of each capture.
const IMAGES: u64 = 4;

/// A client.
struct Seat {
    place: usize,
    /// How far its replies go, and how far they are sent.
    written: u64,
    sent: u64,
    /// Where replies end that are not sent yet, behind which view they were written, and what they
    /// tell of.
    waiting: VecDeque<(u64, usize, Scope)>,
    /// Its last command: of one that is blocked, the one that waits.
    command: Command,
    /// What EXEC will tell of, in a transaction.
    queued: Option<Scope>,
}

struct Machine {
    disk: SimDisk,
    engine: Engine,
    seats: Vec<Seat>,
    history: History,
    rng: Rng,
    serial: u64,
    /// A sync goes on.
    syncing: bool,
    judged: HashSet<u64>,
    stats: Stats,
    commands: VecDeque<String>,
}

fn failed(error: Error) -> String {
    format!("the store fails: {error}")
}

/// Runs with this seed until the power was cut for good.
pub fn run(seed: u64, stats: &mut Stats) -> Result<(), Wrong> {
    let mut rng = Rng::of(&[seed]);
    let world = World {
        seed,
        write_back: rng.pick(&[0, 2, 20]),
        sync_all: rng.percent(50),
        now_ms: 1_700_000_000_000,
    };
    let mut disk = SimDisk::empty(world);
    for life in 0..LIVES {
        let wrong = |what| Wrong { what, commands: Vec::new() };
        let store = view::open(&disk).map_err(failed).map_err(wrong)?;
        let view = view::look(&store).map_err(failed).map_err(wrong)?;
        let own = Rng::of(&[seed, life]);
        let mut machine = Machine::new(&disk, store, view, own, seed * 1000 + life);
        let went = live(&mut machine);
        let found = std::mem::take(&mut machine.stats);
        stats.add(&found);
        went.map_err(|what| Wrong { what, commands: machine.commands.drain(..).collect() })?;
        // The next life goes on with what one of the cuts leaves.
        let image = Image::make(&disk.capture(), rng.below(6), rng.next());
        disk.end_life();
        disk = image.boot();
    }
    Ok(())
}

impl Stats {
    fn add(&mut self, other: &Stats) {
        self.states += other.states;
        self.commands += other.commands;
        self.syncs += other.syncs;
        self.told += other.told;
        self.held += other.held;
        self.woken += other.woken;
        self.lost += other.lost;
        self.in_commands += other.in_commands;
        self.in_syncs += other.in_syncs;
    }
}

fn live(machine: &mut Machine) -> Went {
    for _ in 0..COMMANDS {
        machine.command()?;
        if machine.rng.percent(50) {
            machine.send()?;
        }
        let (syncs, steps) = (machine.rng.percent(30), machine.rng.percent(8));
        if steps {
            machine.background()?;
        }
        if syncs {
            sync(machine)?;
        }
    }
    Ok(())
}

/// A sync from its beginning to its end, with what is done meanwhile.
fn sync(machine: &mut Machine) -> Went {
    let Some((number, mut names)) = machine.engine.space.begin_sync() else { return Ok(()) };
    // They come in any order, and runs are to be repeatable.
    names.sort();
    machine.stats.syncs += 1;
    machine.syncing = true;
    let store = machine.engine.store.clone();
    let found = store.found(&names);
    for _ in 0..machine.rng.below(4) {
        machine.command()?;
        machine.send()?;
    }
    machine.cut_soon();
    store.sync_found(found).map_err(failed)?;
    machine.judge()?;
    machine.syncing = false;
    machine.engine.space.end_sync(number);
    machine.send()
}

impl Machine {
    fn new(disk: &SimDisk, store: Store, view: View, rng: Rng, serial: u64) -> Machine {
        let mut engine = Engine::new(store, None, Config::default());
        engine.space.strict = true;
        let seats = (0..CLIENTS).map(|_| Seat {
            place: engine.connect(String::new(), String::new()),
            written: 0,
            sent: 0,
            waiting: VecDeque::new(),
            command: Command::of("PING", &[]),
            queued: None,
        });
        let seats = seats.collect();
        Machine {
            disk: disk.clone(),
            engine,
            seats,
            history: History::new(view),
            rng,
            serial: serial * 10_000,
            syncing: false,
            judged: HashSet::new(),
            stats: Stats::default(),
            commands: VecDeque::new(),
        }
    }

    /// The power may be cut in what comes next.
    fn cut_soon(&mut self) {
        for _ in 0..self.rng.below(3) {
            self.disk.want([self.disk.steps() + 1 + self.rng.below(25)]);
        }
    }

    /// A client has a command run.
    fn command(&mut self) -> Went {
        let is_blocked =
            |seat: &Seat| self.engine.clients.get(seat.place).is_some_and(|client| client.blocked);
        let free: Vec<usize> = (0..CLIENTS).filter(|n| !is_blocked(&self.seats[*n])).collect();
        let seat = free[self.rng.index(free.len())];
        let may_block = free.len() == CLIENTS && self.seats[seat].queued.is_none();
        let view = self.history.last().clone();
        let mut dice = Dice { rng: &mut self.rng, view: &view, serial: &mut self.serial };
        // What a transaction leaves between two changes nobody sees, so it makes one.
        let changed = self.seats[seat].queued.as_ref().is_some_and(Scope::is_some);
        let mut command = if changed { dice.look() } else { dice.command(may_block) };
        match &mut self.seats[seat].queued {
            Some(queued) if !changed || self.rng.percent(50) => {
                // It is not run yet, and its reply tells nothing.
                queued.extend(command.surely());
                command.scope = Scope::none();
            }
            Some(_) => {
                let scope = self.seats[seat].queued.take().unwrap();
                command = Command { scope, ..Command::of("EXEC", &[]) };
            }
            None if !command.blocks() && self.rng.percent(5) => {
                self.seats[seat].queued = Some(Scope::none());
                command = Command::of("MULTI", &[]);
            }
            None => {}
        }
        self.execute(seat, command)
    }

    fn execute(&mut self, seat: usize, command: Command) -> Went {
        self.cut_soon();
        self.stats.commands += 1;
        self.commands.push_back(format!("{seat}: {}", command.text()));
        if self.commands.len() > 60 {
            self.commands.pop_front();
        }
        let words: Vec<&[u8]> = command.words.iter().map(Vec::as_slice).collect();
        let place = self.seats[seat].place;
        match &command.ends[..] {
            [] => self.engine.execute(place, &words),
            ends => self.engine.execute_adds(place, &words, ends),
        }
        self.seats[seat].command = command;
        self.disk.move_clock(1 + self.rng.below(4) as i64);
        let view = view::look(&self.engine.store).map_err(failed)?;
        self.history.add(view);
        (0..CLIENTS).try_for_each(|other| self.note(other, seat))?;
        if self.rng.percent(20) {
            let capture = self.disk.capture();
            self.judge_one(&capture)?;
        }
        self.judge()
    }

    /// Notes what was written for a client while `running` had a command run.
    fn note(&mut self, seat: usize, running: usize) -> Went {
        let Machine { engine, seats, history, stats, .. } = self;
        let seat_of = &mut seats[seat];
        let Some(client) = engine.clients.get(seat_of.place) else {
            return Err("a client is gone".to_owned());
        };
        let end = client.out.end();
        if end == seat_of.written {
            return Ok(());
        }
        let at = usize::try_from(seat_of.written - client.out.first()).unwrap();
        let reply = &client.out.bytes()[at..];
        seat_of.written = end;
        stats.woken += u64::from(seat != running);
        // A refusal, or that nothing was done, may be told without a look at the other keys.
        let scope = match reply.starts_with(b"-") || reply == b":0\r\n" {
            true if seat_of.command.words[0] != b"EXEC" => seat_of.command.surely(),
            _ => seat_of.command.scope.clone(),
        };
        seat_of.waiting.push_back((end, history.now(), scope));
        let text = || reply.escape_ascii().to_string();
        self.commands.push_back(format!("{seat}:   -> {}", text()));
        agrees(&seat_of.command, reply, history).map_err(|what| format!("{what}: {}", text()))
    }

    /// Sends what may be sent.
    fn send(&mut self) -> Went {
        let synced = self.engine.space.synced();
        self.engine.to_send.clear();
        self.engine.resumed.clear();
        let mut told = Vec::new();
        for seat in &mut self.seats {
            let Some(client) = self.engine.clients.get_mut(seat.place) else { continue };
            client.listed = false;
            let may = client.may_send(synced);
            self.stats.held += u64::from(may < client.out.len());
            client.out.sent(may);
            seat.sent += may as u64;
            while seat.waiting.front().is_some_and(|(end, ..)| *end <= seat.sent) {
                told.extend(seat.waiting.pop_front());
            }
        }
        if told.is_empty() {
            return Ok(());
        }
        // Where the power was cut before, nobody knew of it yet.
        self.judge()?;
        for (_, number, scope) in told {
            self.stats.told += 1;
            self.history.tell(&scope, number);
        }
        self.judged.clear();
        self.commands.push_back("(sent)".to_owned());
        let capture = self.disk.capture();
        self.judge_one(&capture)
    }

    /// What the threads of the store do now and then.
    fn background(&mut self) -> Went {
        self.cut_soon();
        let store = self.engine.store.clone();
        match self.rng.below(3) {
            0 => store.step_sync(),
            1 => store.step_prepare(),
            _ => store.step_checkpoint(),
        }
        .map_err(failed)?;
        self.judge()
    }

    /// Judges the cuts that have come since the last call.
    fn judge(&mut self) -> Went {
        let captures = self.disk.take_captures();
        match self.syncing {
            true => self.stats.in_syncs += captures.len() as u64,
            false => self.stats.in_commands += captures.len() as u64,
        }
        captures.iter().try_for_each(|capture| self.judge_one(capture))
    }

    fn judge_one(&mut self, capture: &Capture) -> Went {
        for number in 0..IMAGES {
            let image = Image::make(capture, number, self.rng.next());
            if !self.judged.insert(image.hash) {
                continue;
            }
            self.stats.states += 1;
            let disk = image.boot();
            let store = view::open(&disk).map_err(failed)?;
            let found = view::look(&store).map_err(failed)?;
            disk.end_life();
            drop(store);
            self.stats.lost += u64::from(found != *self.history.last());
            let checked = self.history.check(&found);
            checked.map_err(|what| format!("{what} (image {number}, {})", capture.what))?;
        }
        Ok(())
    }
}

/// Whether a reply says what the store shows.
fn agrees(command: &Command, reply: &[u8], history: &History) -> Went {
    let word = |n: usize| command.words.get(n).map_or(&b""[..], Vec::as_slice);
    let life = |view: &View| view.values().find(|life| life.name == word(1)).cloned();
    let (before, now) = (life(history.before()), life(history.last()));
    let count = || std::str::from_utf8(reply.get(1..)?).ok()?.trim_end().parse::<usize>().ok();
    if reply.starts_with(b"+QUEUED") || reply.starts_with(b"-") {
        return Ok(());
    }
    let wrong = |what: &str| Err(format!("the store does not show {what}"));
    match word(0) {
        b"XADD" => {
            let added = ids_in(reply);
            let there = |id: &EntryId| now.as_ref().is_some_and(|l| l.entries.contains_key(id));
            if !added.iter().all(there) {
                return wrong("what was added");
            }
        }
        b"XACK" => {
            let pending = |life: Option<super::view::Life>| {
                life.and_then(|life| Some(life.groups.get(word(2))?.pending.len()))
            };
            let left = pending(now).unwrap_or(0);
            if pending(before).unwrap_or(0) - left != count().unwrap_or(usize::MAX) {
                return wrong("what was acknowledged");
            }
        }
        b"XDEL" => {
            let length = |life: Option<super::view::Life>| life.map_or(0, |l| l.entries.len());
            if length(before) - length(now) != count().unwrap_or(usize::MAX) {
                return wrong("what was deleted");
            }
        }
        b"XREADGROUP" if !command.words.iter().any(|word| word == b"NOACK") => {
            let group = |life: &super::view::Life| life.groups.get(word(2)).cloned();
            let groups = history.last().values().filter_map(group);
            let pending: BTreeSet<EntryId> =
                groups.flat_map(|group| group.pending.into_keys()).collect();
            if !ids_in(reply).iter().all(|id| pending.contains(id)) {
                return wrong("what was delivered");
            }
        }
        _ => {}
    }
    Ok(())
}
