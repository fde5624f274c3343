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

/// At the end there are two syncs: the one that goes on, and one of what came behind it. Fails if
/// who waits for the second is let go by the first.
#[cfg(unix)]
#[test]
fn who_waits_for_a_last_sync_that_fails_hears_nothing() {
    let store = Store::in_memory().unwrap();
    let mut engine = Engine::new(store.clone(), None, Config::default());
    engine.space.strict = true;
    let mut turns = Turns::new(Wakes::new().unwrap(), Vec::new(), engine).unwrap();
    let first = turns.engine.connect(String::new(), String::new());
    turns.engine.execute(first, &[b"XADD", b"s", b"1-1", b"f", b"v"]);
    turns.sync();
    assert!(turns.syncer.is_busy());
    let place = turns.engine.connect(String::new(), String::new());
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let socket = Socket::Unix(mio::net::UnixStream::from_std(ours));
    turns.conns.resize_with(place, || None);
    turns.conns.push(Some(Conn::new(socket)));
    turns.engine.execute(place, &[b"XADD", b"t", b"1-1", b"f", b"v"]);
    turns.send();
    assert_eq!(turns.held, [place]);
    store.close().unwrap();
    turns.end().unwrap();
    let mut heard = Vec::new();
    std::io::Read::read_to_end(&mut theirs, &mut heard).unwrap();
    assert_eq!(heard, b"");
}

#[test]
fn looks_in_vain_become_fewer_until_one_finds_something() {
    let mut looks = super::Looks::default();
    looks.lively = true;
    let mut slept = Vec::new();
    for _ in 0..12 {
        let mut times = 0;
        while !looks.is_worth() {
            times += 1;
        }
        slept.push(times);
        looks.note(false);
    }
    assert_eq!(slept, [0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 64, 64]);
    while !looks.is_worth() {}
    looks.note(true);
    assert!(looks.is_worth());
    looks.lively = false;
    assert!(!looks.is_worth());
}
