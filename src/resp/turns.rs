//! The event loop: reads what clients send, has it run, sends the replies.
//!
//! One thread. Each client has its turn, in order, of a bounded number of commands and bytes; what
//! is left waits for the next one, so nobody can keep the others waiting. Replies are sent after
//! some turns, in one call for each client, and those of changes when they are on disk (see
//! [`Syncer`]). Who does not read his replies is not read from, either.
//!
//! A disk that is quick is waited for between turns, once for all who have written: to hand the
//! work over to another thread and to be woken by it would take as long. A slow one keeps waiting
//! only those who have written.

use super::arrivals::Arrivals;
use super::engine::Engine;
use super::listen::{Arrival, Listener, Socket, room_for_clients};
use super::refusal::Refusal;
use super::request::Parser;
use super::syncer::Syncer;
use crate::error::{Error, Result};
use commands::Adds;
use looks::Looks;
use mio::{Events, Poll, Token, Waker};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

mod commands;
mod looks;
mod sending;

const WAKER: Token = Token(usize::MAX);
/// The first of the listeners' tokens; below are the places of clients.
const LISTENERS: usize = usize::MAX - 16;

/// How much is read at a time, for one client.
const READ: usize = 64 << 10;
/// After so many turns replies are sent, so that clients work on them while others have their turn:
/// each send may have to wake one, so not after every turn.
const TOGETHER: usize = 16;
/// So long the next command is looked for before the loop sleeps, if there was one just now: to put
/// a processor to sleep and to have it woken takes the client longer than most commands take.
const LOOK: Duration = Duration::from_micros(20);
/// So long between two looks: each takes the lock that a client needs to tell of what it has sent,
/// and what comes meanwhile is found at once.
const PAUSE: Duration = Duration::from_micros(4);
/// A client that has more than this to read first is not served.
const BACKLOG: usize = 1 << 20;
/// When what could not be accepted is tried again.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// How often clients are looked for that have been idle for too long.
const IDLE_CHECK: Duration = Duration::from_secs(1);

/// A client's socket, and what was read from it and not run yet.
struct Conn {
    socket: Socket,
    parser: Parser,
    input: Vec<u8>,
    /// There may be something to read.
    readable: bool,
    /// The other side sends nothing more: all has to be read, up to the end.
    ending: bool,
    /// `input` may hold another command.
    unparsed: bool,
    /// It stands in the queue.
    queued: bool,
    /// The socket had no room for what was to be sent, and tells when it has.
    stuck: bool,
}

/// See the module.
pub(crate) struct Turns {
    poll: Poll,
    listeners: Vec<Listener>,
    conns: Vec<Option<Conn>>,
    engine: Engine,
    scratch: Vec<u8>,
    /// Empty between turns.
    adds: Adds<'static>,
    queue: VecDeque<usize>,
    syncer: Syncer,
    arrivals: Option<Arrivals>,
    stop: Arc<AtomicBool>,
    accept_again: Option<Instant>,
    idle_check: Instant,
    /// Clients whose replies wait for a sync.
    held: Vec<usize>,
    looks: Looks,
}

impl Conn {
    fn new(socket: Socket) -> Conn {
        Conn {
            socket,
            parser: Parser::default(),
            input: Vec::new(),
            readable: false,
            ending: false,
            unparsed: false,
            queued: false,
            stuck: false,
        }
    }
}

/// What wakes the loop from outside.
pub(crate) struct Wakes {
    pub(crate) poll: Poll,
    pub(crate) waker: Arc<Waker>,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Wakes {
    pub(crate) fn new() -> io::Result<Wakes> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Wakes { poll, waker, stop: Arc::default() })
    }
}

fn failed(op: &'static str, error: io::Error) -> Error {
    Error::io(op, std::path::Path::new("the server's sockets"), error)
}

impl Turns {
    pub(crate) fn new(wakes: Wakes, listeners: Vec<Listener>, engine: Engine) -> Result<Turns> {
        let Wakes { poll, waker, stop } = wakes;
        let arrivals = engine.home.is_none().then(|| Arrivals::new(Arc::clone(&waker)));
        let syncer = Syncer::start(waker).map_err(|e| failed("start a thread for", e))?;
        let mut listeners = listeners;
        for (n, listener) in listeners.iter_mut().enumerate() {
            let token = Token(LISTENERS + n);
            listener.register(poll.registry(), token).map_err(|e| failed("register", e))?;
        }
        Ok(Turns {
            poll,
            listeners,
            conns: Vec::new(),
            engine,
            scratch: vec![0; READ],
            adds: Adds::default(),
            queue: VecDeque::new(),
            syncer,
            arrivals,
            stop,
            accept_again: None,
            idle_check: Instant::now(),
            held: Vec::new(),
            looks: Looks::default(),
        })
    }

    /// Serves until it is told to stop.
    pub(crate) fn run(mut self) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        let served = loop {
            match self.wait(&mut events) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => break Err(failed("wait for", error)),
            }
            self.engine.now = Instant::now();
            for event in &events {
                match event.token() {
                    WAKER => {}
                    Token(n) if n >= LISTENERS => self.accept(n - LISTENERS),
                    Token(place) => {
                        let read = event.is_readable() || event.is_read_closed();
                        let ends = event.is_read_closed() || event.is_error();
                        self.heard(place, read, ends, event.is_writable());
                    }
                }
            }
            self.round();
            if self.engine.ends || self.stop.load(Ordering::Acquire) {
                break Ok(());
            }
        };
        served.and(self.end())
    }

    /// Waits until there is something to do.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let longest = self.longest_wait();
        if longest != Some(Duration::ZERO) && self.looks.is_worth() {
            let until = Instant::now() + LOOK;
            while Instant::now() < until {
                self.poll.poll(events, Some(Duration::ZERO))?;
                if !events.is_empty() {
                    self.looks.note(true);
                    return Ok(());
                }
                let again = Instant::now() + PAUSE;
                while Instant::now() < again {
                    std::hint::spin_loop();
                }
            }
            self.looks.note(false);
        }
        self.poll.poll(events, longest)
    }

    /// How long there is nothing to do if nothing happens.
    fn longest_wait(&self) -> Option<Duration> {
        if !self.queue.is_empty() || !self.engine.to_send.is_empty() {
            return Some(Duration::ZERO);
        }
        let idle = (self.engine.config.timeout > 0).then_some(self.idle_check);
        let times =
            [self.engine.waits.next_time(), self.accept_again, idle, self.engine.next_expiry()];
        let next = times.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Something is known of a client's socket.
    fn heard(&mut self, place: usize, read: bool, ends: bool, write: bool) {
        let Some(conn) = self.conns.get_mut(place).and_then(Option::as_mut) else { return };
        conn.readable |= read;
        conn.ending |= ends;
        if write {
            self.engine.list(place);
        }
        let blocked = self.engine.clients.get(place).is_some_and(|client| client.blocked);
        if blocked && ends {
            return self.stop_waiting(place);
        }
        if read {
            self.enqueue(place);
        }
    }

    fn enqueue(&mut self, place: usize) {
        if let Some(Some(conn)) = self.conns.get_mut(place)
            && (conn.readable || conn.unparsed)
            && !std::mem::replace(&mut conn.queued, true)
        {
            self.queue.push_back(place);
        }
    }

    /// Everything that is to be done between two waits.
    fn round(&mut self) {
        if self.accept_again.is_some_and(|at| at <= self.engine.now) {
            self.accept_again = None;
            (0..self.listeners.len()).for_each(|n| self.accept(n));
        }
        self.looks.lively = !self.queue.is_empty();
        // Those who are queued up again have to wait for the next round.
        for turn in 1..=self.queue.len() {
            if let Some(place) = self.queue.pop_front() {
                self.turn(place);
            }
            if turn.is_multiple_of(TOGETHER) && !self.engine.space.strict {
                self.send();
            }
        }
        self.engine.run_timers(Instant::now());
        self.engine.sweep();
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.attend(&mut self.engine);
        }
        for place in std::mem::take(&mut self.engine.resumed) {
            self.enqueue(place);
        }
        self.send_idle_away();
        self.sync();
        self.send();
    }

    fn accept(&mut self, listener: usize) {
        loop {
            let Some(listener) = self.listeners.get(listener) else { return };
            match listener.accept() {
                Ok(arrival) => self.welcome(arrival),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The client has gone again.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
                    ) => {}
                Err(_) => {
                    // No descriptors are left, and nobody says when one will be.
                    self.accept_again = Some(Instant::now() + ACCEPT_AGAIN);
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, arrival: Arrival) {
        let Arrival { mut socket, address, local } = arrival;
        let most = usize::try_from(self.engine.config.maxclients).unwrap_or(usize::MAX);
        // Whatever is allowed: a store that can open no file is of no use to those who are there.
        if self.engine.clients.len() >= most.min(room_for_clients()) {
            self.engine.stats.rejected_connections += 1;
            // Who does not get it finds the connection closed.
            drop(socket.write(b"-ERR max number of clients reached\r\n"));
            return;
        }
        let place = self.engine.connect(address, local);
        if place >= LISTENERS || socket.register(self.poll.registry(), Token(place)).is_err() {
            self.engine.disconnect(place);
            return;
        }
        if self.conns.len() <= place {
            self.conns.resize_with(place + 1, || None);
        }
        self.conns[place] = Some(Conn::new(socket));
    }

    fn close(&mut self, place: usize) {
        if let Some(mut conn) = self.conns.get_mut(place).and_then(Option::take) {
            // It is closed now, and with that off the list anyway.
            drop(conn.socket.deregister(self.poll.registry()));
        }
        self.engine.disconnect(place);
    }

    /// Whether a client may have commands run now.
    fn may_run(&self, place: usize) -> bool {
        self.engine.clients.get(place).is_some_and(|client| {
            !client.blocked && !client.closing && !client.dead && client.out.len() <= BACKLOG
        })
    }

    /// One client's turn: reads once, and runs what is there.
    fn turn(&mut self, place: usize) {
        let runs = self.may_run(place);
        let Some(Some(conn)) = self.conns.get_mut(place) else { return };
        conn.queued = false;
        if !runs {
            // It is queued up again when it may go on.
            return;
        }
        let mut input = std::mem::take(&mut conn.input);
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut fresh = 0;
        if !conn.unparsed {
            match conn.socket.read(&mut scratch) {
                Ok(0) => {
                    self.scratch = scratch;
                    return self.hung_up(place);
                }
                Ok(count) => {
                    // Less than there was room for: that is all there was.
                    conn.readable = count == scratch.len() || conn.ending;
                    fresh = count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => conn.readable = false,
                Err(_) => {
                    self.scratch = scratch;
                    return self.close(place);
                }
            }
        }
        self.engine.stats.net_in += fresh as u64;
        if input.is_empty() {
            // Mostly nothing is left over, and nothing has to be kept.
            let taken = self.run_commands(place, &scratch[..fresh]);
            input.extend_from_slice(&scratch[taken..fresh]);
        } else {
            input.extend_from_slice(&scratch[..fresh]);
            let taken = self.run_commands(place, &input);
            input.drain(..taken);
        }
        self.scratch = scratch;
        self.keep(place, input);
    }

    /// The other side sends nothing more; what it has sent is answered.
    fn hung_up(&mut self, place: usize) {
        match self.engine.clients.get_mut(place) {
            Some(client) if client.out.len() > 0 => {
                client.closing = true;
                self.engine.list(place);
            }
            _ => self.close(place),
        }
    }

    /// A client that waits will not be there at the end of it; what was answered before is sent.
    fn stop_waiting(&mut self, place: usize) {
        self.engine.forget_wait(place);
        self.hung_up(place);
    }

    /// Keeps what was read and not run.
    fn keep(&mut self, place: usize, input: Vec<u8>) {
        let most = usize::try_from(self.engine.config.query_buffer_limit).unwrap_or(usize::MAX);
        if input.len() > most {
            return self.close(place);
        }
        let blocked = self.engine.clients.get(place).is_some_and(|client| client.blocked);
        let Some(Some(conn)) = self.conns.get_mut(place) else { return };
        if blocked && conn.ending {
            return self.stop_waiting(place);
        }
        if !input.is_empty() {
            conn.input = input;
        }
        self.enqueue(place);
    }

    fn send_idle_away(&mut self) {
        let limit = self.engine.config.timeout;
        if limit == 0 || self.idle_check > self.engine.now {
            return;
        }
        self.idle_check = self.engine.now + IDLE_CHECK;
        let limit = Duration::from_secs(limit.unsigned_abs());
        let idle = |since: Instant| self.engine.now.saturating_duration_since(since) > limit;
        let gone = self.engine.clients.iter().filter(|(_, c)| !c.blocked && idle(c.last));
        let gone: Vec<usize> = gone.map(|(place, _)| place).collect();
        gone.into_iter().for_each(|place| self.close(place));
    }
}

impl Engine {
    /// A client does not speak the protocol: it is told, and ends.
    pub(crate) fn refuse(&mut self, place: usize, refusal: &Refusal) {
        self.stats.error(refusal.code());
        if let Some(client) = self.clients.get_mut(place) {
            client.out.error(&refusal.0);
            client.closing = true;
        }
        self.list(place);
    }
}

#[cfg(test)]
mod tests;
