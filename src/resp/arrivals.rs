//! Entries that the application appends itself, for clients that are blocked on their streams.
//!
//! The server stands on the lists of those who wait, like any other reader; whoever publishes has
//! the event loop woken. Not needed where nobody but the server has the store.

use super::engine::Engine;
use crate::notify::{Class, Registration, Waiter};
use crate::stream::Stream;
use mio::Waker;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What has happened, as far as the loop does not know yet.
#[derive(Default)]
struct Notes {
    names: Vec<Vec<u8>>,
    /// There are other streams than before, or others of the same names.
    table: bool,
}

struct Armed {
    stream: Stream,
    waiter: Waiter,
    registration: Registration,
}

/// See the module.
pub(crate) struct Arrivals {
    notes: Arc<Mutex<Notes>>,
    waker: Arc<Waker>,
    armed: HashMap<Vec<u8>, Armed>,
    table: Option<(Waiter, Registration)>,
}

impl Arrivals {
    pub(crate) fn new(waker: Arc<Waker>) -> Arrivals {
        Arrivals { notes: Arc::default(), waker, armed: HashMap::new(), table: None }
    }

    fn noting(&self, note: impl Fn(&mut Notes) + Send + Sync + 'static) -> Waiter {
        let (notes, waker) = (Arc::clone(&self.notes), Arc::clone(&self.waker));
        Waiter::calling(move || {
            note(&mut notes.lock());
            // A loop that cannot be woken has ended.
            drop(waker.wake());
        })
    }

    /// Tells the engine what has happened, and stands where clients wait now.
    pub(crate) fn attend(&mut self, engine: &mut Engine) {
        let Notes { names, table } = std::mem::take(&mut *self.notes.lock());
        if self.armed.is_empty() && engine.waits.len() == 0 {
            self.table = None;
            return;
        }
        let changed = engine.waits.take_changed();
        if names.is_empty() && !table && !changed {
            return;
        }
        for name in names {
            if let Some(armed) = self.armed.get_mut(&name) {
                armed.waiter.take();
                armed.registration.look();
                tell(engine, &name);
            }
        }
        if table && let Some((waiter, registration)) = &mut self.table {
            waiter.take();
            registration.look();
        }
        self.stand(engine);
        engine.after_command();
    }

    fn stand(&mut self, engine: &mut Engine) {
        if self.table.is_none() {
            let waiter = self.noting(|notes| notes.table = true);
            let list = &engine.store.shared().changed_names;
            let registration = list.register(&waiter, Class::Reader);
            self.table = Some((waiter, registration));
        }
        let waited: HashSet<Vec<u8>> = engine.waits.names().cloned().collect();
        self.armed.retain(|name, _| waited.contains(name));
        for name in waited {
            // A stream that cannot be opened wakes nobody.
            let now = engine.store.get(&name).ok().flatten();
            let known = self.armed.get(&name).map(|armed| armed.stream.inner());
            match (&now, known) {
                (Some(now), Some(known)) if Arc::ptr_eq(now.inner(), known) => continue,
                (None, None) => continue,
                _ => {}
            }
            self.armed.remove(&name);
            if let Some(stream) = now {
                let noted = name.clone();
                let waiter = self.noting(move |notes| notes.names.push(noted.clone()));
                let registration = stream.inner().waiters.register(&waiter, Class::Reader);
                self.armed.insert(name.clone(), Armed { stream, waiter, registration });
            }
            // It may have come, or got its entries, before the server stood there.
            tell(engine, &name);
        }
    }

    /// Leaves all lists.
    pub(crate) fn leave(&mut self) {
        self.armed.clear();
        self.table = None;
    }
}

fn tell(engine: &mut Engine, name: &[u8]) {
    if engine.store.exists(name) {
        engine.space.signal(name);
    } else {
        engine.space.gone(name);
    }
}
