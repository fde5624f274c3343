//! What no client can see from outside: when a reply may go out.

use super::*;
use crate::resp::context::Wait;

fn strict() -> Engine {
    let mut engine = Engine::new(Store::in_memory().unwrap(), None, Config::default());
    engine.space.strict = true;
    engine
}

fn connect(engine: &mut Engine) -> usize {
    engine.connect(String::new(), String::new())
}

fn run(engine: &mut Engine, client: usize, words: &str) {
    let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    engine.execute(client, &args);
}

/// How many bytes may be sent now, of how many.
fn may_send(engine: &mut Engine, client: usize) -> (usize, usize) {
    let synced = engine.space.synced();
    let client = engine.clients.get_mut(client).unwrap();
    (client.may_send(synced), client.out.len())
}

/// Fails if `Keyspace::needs` says that nothing is to be waited for, or `note_read` does nothing.
#[test]
fn a_change_is_told_when_it_is_on_disk_and_not_before() {
    let mut engine = strict();
    let (writer, reader, other) =
        (connect(&mut engine), connect(&mut engine), connect(&mut engine));
    run(&mut engine, writer, "PING");
    run(&mut engine, writer, "XADD s 1-1 f v");
    run(&mut engine, writer, "PING");
    let (may, all) = may_send(&mut engine, writer);
    assert_eq!((may, all), (7, 7 + 9 + 7));
    // Who has seen it would tell of it.
    for words in ["XLEN s", "EXISTS s", "KEYS *", "XRANGE s - +"] {
        let reader = connect(&mut engine);
        run(&mut engine, reader, words);
        assert_eq!(may_send(&mut engine, reader).0, 0, "{words}");
    }
    run(&mut engine, other, "XLEN t");
    assert_eq!(may_send(&mut engine, other), (4, 4));
    let (first, names) = engine.space.begin_sync().unwrap();
    assert_eq!(names, [b"s"]);
    assert_eq!(engine.space.begin_sync(), None);
    // What is written while a sync goes on needs the next one.
    run(&mut engine, reader, "XADD s 2-1 f v");
    engine.space.end_sync(first);
    let (may, all) = may_send(&mut engine, writer);
    assert_eq!(may, all);
    assert_eq!(may_send(&mut engine, reader).0, 0);
    let (second, _) = engine.space.begin_sync().unwrap();
    engine.space.end_sync(second);
    assert_eq!(may_send(&mut engine, reader), (9, 9));
    run(&mut engine, other, "XLEN s");
    assert_eq!(may_send(&mut engine, other), (8, 8));
}

#[test]
fn a_transaction_and_a_reader_who_is_woken_wait_for_the_disk_too() {
    let mut engine = strict();
    let (writer, waiting) = (connect(&mut engine), connect(&mut engine));
    run(&mut engine, waiting, "XREAD BLOCK 0 STREAMS s $");
    assert!(engine.clients.get(waiting).unwrap().blocked);
    for words in ["MULTI", "XADD s 1-1 f v", "XLEN s"] {
        run(&mut engine, writer, words);
    }
    let (before, _) = may_send(&mut engine, writer);
    run(&mut engine, writer, "EXEC");
    assert!(!engine.clients.get(waiting).unwrap().blocked);
    assert_eq!(may_send(&mut engine, writer).0, before);
    assert_eq!(may_send(&mut engine, waiting).0, 0);
    assert_eq!(engine.resumed, [waiting]);
}

/// Commands that find nothing each time must not keep the loop from going on. Fails if those that
/// are due are looked for until there are none.
#[test]
fn who_wants_to_be_tried_again_at_once_is_tried_once() {
    let mut engine = strict();
    let now = Instant::now();
    let wait = move |retry: crate::resp::context::Retry| Wait {
        keys: vec![b"s".to_vec()],
        until: None,
        again_at: Some(now),
        on_no_key: false,
        retry,
    };
    let clients = [connect(&mut engine), connect(&mut engine)];
    for client in clients {
        let mut tried = 0;
        let again = wait(Box::new(move |_, _| {
            tried += 1;
            assert!(tried < 3, "it is tried for ever");
            Ok(Done::Blocked(wait(Box::new(|_, _| Err(Refusal::SYNTAX)))))
        }));
        engine.block(client, 0, again);
    }
    engine.run_timers(now);
    assert!(clients.iter().all(|client| engine.clients.get(*client).unwrap().blocked));
    assert!(engine.waits.next_time().unwrap() > now);
}

/// The close is a sync. Fails if a sync that goes on meanwhile, and finds the store closed, counts.
#[test]
fn reopening_ends_the_syncs_that_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = crate::store::StoreOptions::default();
    let store = options.open(dir.path()).unwrap();
    let mut engine = Engine::new(store, Some((dir.path().into(), options)), Config::default());
    engine.space.strict = true;
    let writer = connect(&mut engine);
    run(&mut engine, writer, "XADD s 1-1 f v");
    let (sync, _) = engine.space.begin_sync().unwrap();
    engine.reopen().unwrap();
    assert!(engine.space.synced() >= sync);
    let (may, all) = may_send(&mut engine, writer);
    assert_eq!(may, all);
}

/// That nothing was done may tell of a change, too. Fails if `remove`, `copy`, `move_key` or `info`
/// does not look for changes that wait.
#[test]
fn who_does_nothing_because_of_a_change_waits_for_it_too() {
    let mut engine = strict();
    let writer = connect(&mut engine);
    for words in ["XADD gone 1-1 f v", "XADD there 1-1 f v"] {
        run(&mut engine, writer, words);
    }
    let (sync, _) = engine.space.begin_sync().unwrap();
    engine.space.end_sync(sync);
    for words in ["DEL gone", "XADD new 1-1 f v"] {
        run(&mut engine, writer, words);
    }
    let nothing = ["DEL gone", "MOVE gone 1", "COPY gone other", "COPY there new", "INFO keyspace"];
    for words in nothing {
        let reader = connect(&mut engine);
        run(&mut engine, reader, words);
        assert_eq!(may_send(&mut engine, reader).0, 0, "{words}");
    }
}

/// New streams remember of producers what the store has them, whoever has said it last.
#[test]
fn what_the_store_says_of_producers_holds_for_streams_of_clients() {
    let dir = tempfile::tempdir().unwrap();
    let options = crate::store::StoreOptions::default();
    let store = options.open(dir.path()).unwrap();
    let home = Some((dir.path().into(), options));
    let mut engine = Engine::new(store.clone(), home, Config::default());
    let client = connect(&mut engine);
    let most = |engine: &Engine, name: &str| {
        engine.store.get(name).unwrap().unwrap().idempotency().unwrap().max_iids
    };
    store.set_default_idempotency(crate::IdempotencyWindow::new().max_iids(7)).unwrap();
    run(&mut engine, client, "XADD s 1-1 f v");
    assert_eq!(most(&engine, "s"), 7);
    drop(store);
    run(&mut engine, client, "CONFIG SET stream-idmp-maxsize 9");
    engine.reopen().unwrap();
    run(&mut engine, client, "XADD t 1-1 f v");
    assert_eq!(most(&engine, "t"), 9);
}
