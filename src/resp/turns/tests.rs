//! A sync that fails.

use super::*;
use crate::error::ErrorKind;
use crate::resp::config::Config;
use crate::store::Store;

/// Who waits for a sync that fails hears nothing, neither yes nor no; the others do.
#[test]
fn a_failed_sync_ends_the_connections_that_wait_for_it() {
    let mut engine = Engine::new(Store::in_memory().unwrap(), None, Config::default());
    engine.space.strict = true;
    let mut turns = Turns::new(Wakes::new().unwrap(), Vec::new(), engine).unwrap();
    let places: Vec<usize> =
        (0..3).map(|_| turns.engine.connect(String::new(), String::new())).collect();
    turns.engine.execute(places[0], &[b"XADD", b"s", b"1-1", b"f", b"v"]);
    let (sync, _) = turns.engine.space.begin_sync().unwrap();
    turns.engine.execute(places[1], &[b"XADD", b"t", b"1-1", b"f", b"v"]);
    turns.engine.execute(places[2], &[b"PING"]);
    turns.held = places.clone();
    turns.synced(sync, Err(Error::new(ErrorKind::Closed)));
    let dead = |place: usize| turns.engine.clients.get(place).unwrap().dead;
    assert_eq!(places.iter().map(|place| dead(*place)).collect::<Vec<_>>(), [true, false, false]);
}
