//! Blocked clients: lined up, tried again, served in Redis's order.
//!
//! A name becomes ready by a command (or by the application, of which the event loop hears). After
//! the command, and of a transaction after all of it, the clients that wait for the name are taken
//! in the order in which they lined up, and each runs its whole call again. One that finds nothing
//! lines up anew, with the end of its wait as it was.

use super::Engine;
use crate::resp::context::{Context, Done, Wait};
use crate::resp::keys;
use crate::resp::keyspace::Event;
use crate::resp::out::Out;
use crate::resp::refusal::Refusal;
use crate::resp::waits::Waiting;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A call is not tried again sooner than this without something having happened.
const AGAIN: Duration = Duration::from_millis(1);

/// How a wait is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    TimedOut,
    Refused,
}

impl Engine {
    /// A command waits.
    pub(super) fn block(&mut self, place: usize, line: usize, wait: Wait) {
        let Some(client) = self.clients.get_mut(place) else { return };
        client.blocked = true;
        // Each once: there may be very many.
        let name = |key: &Vec<u8>| Some(keys::name(client.db, key).ok()?.into_owned());
        let names: BTreeSet<Vec<u8>> = wait.keys.iter().filter_map(name).collect();
        let names: Vec<Vec<u8>> = names.into_iter().collect();
        for name in &names {
            self.space.begin_wait(name, wait.on_no_key);
        }
        self.waits.add(place, Waiting { names, line, wait });
    }

    /// Takes a client out of all queues; it is blocked no more.
    pub(crate) fn forget_wait(&mut self, place: usize) -> Option<Waiting> {
        let waiting = self.waits.remove(place)?;
        for name in &waiting.names {
            self.space.end_wait(name, waiting.wait.on_no_key);
        }
        if let Some(client) = self.clients.get_mut(place) {
            client.blocked = false;
        }
        Some(waiting)
    }

    /// Looks at the clients whose names have become ready, until none has.
    pub(super) fn serve_ready(&mut self) {
        while self.space.has_ready() {
            for (name, event) in self.space.take_ready() {
                for place in self.waits.queue(&name) {
                    let waits_for_end =
                        self.waits.get(place).is_some_and(|waiting| waiting.wait.on_no_key);
                    if event == Event::Ready || waits_for_end {
                        self.retry(place);
                    }
                }
            }
        }
    }

    /// Runs a blocked call again.
    pub(crate) fn retry(&mut self, place: usize) {
        let Some(mut waiting) = self.forget_wait(place) else { return };
        let Some(client) = self.clients.get_mut(place) else { return };
        let mut out = std::mem::replace(&mut client.out, Out::new(0));
        let (mark, from, db) = (out.mark(), out.end(), client.db);
        self.clock.reset();
        self.space.begin_reply();
        let Engine { store, config, space, clock, .. } = self;
        let mut context = Context::new(store, config, space, db, true, clock);
        let answer = (waiting.wait.retry)(&mut context, &mut out);
        if let Ok(Done::Blocked(again)) = answer {
            let soonest = Instant::now() + AGAIN;
            waiting.wait.again_at = again.again_at.map(|at| at.max(soonest));
            if let Some(client) = self.clients.get_mut(place) {
                client.out = out;
            }
            return self.block(place, waiting.line, waiting.wait);
        }
        self.ended(waiting.line, answer, mark, &mut out);
        self.finish(place, out, mark, from);
        self.resumed.push(place);
    }

    /// Ends the wait of a client; `false` if it does not wait.
    pub(crate) fn end_wait(&mut self, place: usize, end: End) -> bool {
        let Some(waiting) = self.forget_wait(place) else { return false };
        let Some(client) = self.clients.get_mut(place) else { return false };
        let mut out = std::mem::replace(&mut client.out, Out::new(0));
        let (mark, from) = (out.mark(), out.end());
        self.space.begin_reply();
        let answer = match end {
            End::TimedOut => {
                out.null_array();
                Ok(Done::Replied)
            }
            End::Refused => Err(Refusal::UNBLOCKED),
        };
        self.ended(waiting.line, answer, mark, &mut out);
        self.finish(place, out, mark, from);
        self.resumed.push(place);
        true
    }

    /// Does what is due by now.
    pub(crate) fn run_timers(&mut self, now: Instant) {
        if self.waits.next_time().is_none_or(|time| time > now) {
            return;
        }
        // Each once, whatever time it asks for next.
        for place in self.waits.due(now) {
            // Somebody before it may have ended its wait.
            let Some(waiting) = self.waits.get(place) else { continue };
            if waiting.wait.until.is_some_and(|until| until <= now) {
                self.end_wait(place, End::TimedOut);
            } else if waiting.wait.again_at.is_some_and(|at| at <= now) {
                self.retry(place);
            }
        }
        self.after_command();
    }
}
