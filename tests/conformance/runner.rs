//! Runs tests against a target, several servers at a time.

use crate::client::Outcome;
use crate::env::Env;
use crate::registry::Numbered;
use crate::server::{Server, Target};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tests wait more than they work, so there are more servers than processors.
const WORKERS: usize = 4;

/// What became of each code.
pub(crate) type Outcomes = BTreeMap<&'static str, Outcome>;

/// What the tests are run against and how.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) target: Target,
    /// In RESP3, except those that ask for a protocol themselves.
    pub(crate) resp3: bool,
    /// Failures are not printed.
    pub(crate) quiet: bool,
}

pub(crate) fn run(way: Way, tests: &[Numbered]) -> Outcomes {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Outcomes::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS.min(tests.len()) {
            scope.spawn(|| {
                let mut pooled = None;
                while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = one(way, test, &mut pooled);
                    if let (false, Err(error)) = (way.quiet, &outcome) {
                        println!("FAILED {} {}: {error}", test.code, test.title);
                    }
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes.insert(test.code, outcome);
                    }
                }
            });
        }
    });
    outcomes.into_inner().unwrap_or_default()
}

/// On a server of its own, or on the worker's, which is replaced if a test has broken it.
fn one(way: Way, test: &Numbered, pooled: &mut Option<Server>) -> Outcome {
    if test.own_server && !way.target.is_stub() {
        let mut server = Server::start(way.target, way.resp3)?;
        return attempt(test, &mut server);
    }
    let mut server = match pooled.take() {
        Some(server) => server,
        None => Server::start(way.target, way.resp3)?,
    };
    let outcome = attempt(test, &mut server);
    if outcome.is_ok() || server.answers() {
        *pooled = Some(server);
    }
    outcome
}

fn attempt(test: &Numbered, server: &mut Server) -> Outcome {
    let mut env = Env::new(server)?;
    let run = || (test.run)(&mut env);
    // A test that panics is one that fails, not the end of the others.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err("the test panicked".to_owned()))
}
