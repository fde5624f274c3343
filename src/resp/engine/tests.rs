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

/// Fails if `stream_or_create` begins with options of its own.
#[test]
fn streams_of_clients_have_the_defaults_of_the_store() {
    let defaults = crate::StreamOptions::new().block_entries(7).segment_bytes(1 << 20);
    let options = crate::store::StoreOptions::default().stream_defaults(defaults);
    let mut engine = Engine::new(options.open_in_memory().unwrap(), None, Config::default());
    let client = connect(&mut engine);
    run(&mut engine, client, "XADD s 1-1 f v");
    let of_library = engine.store.stream("t").unwrap().options().unwrap();
    let of_client = engine.store.stream("s").unwrap().options().unwrap();
    assert_eq!(of_client, of_library);
}

/// Fails if `flush_all` does not look for changes that wait.
#[test]
fn who_flushes_nothing_waits_for_what_has_emptied_the_store() {
    let mut engine = strict();
    let writer = connect(&mut engine);
    run(&mut engine, writer, "XADD s 1-1 f v");
    let (sync, _) = engine.space.begin_sync().unwrap();
    engine.space.end_sync(sync);
    run(&mut engine, writer, "DEL s");
    for words in ["FLUSHALL", "FLUSHDB"] {
        let other = connect(&mut engine);
        run(&mut engine, other, words);
        assert_eq!(may_send(&mut engine, other).0, 0, "{words}");
    }
}

/// Fails if `serve` of XREADGROUP notes new deliveries alone.
#[test]
fn a_history_waits_for_the_disk_where_it_delivers_once_more() {
    let mut engine = strict();
    let client = connect(&mut engine);
    let read = "XREADGROUP GROUP g c STREAMS s";
    run(&mut engine, client, "XGROUP CREATE s g 0 MKSTREAM");
    run(&mut engine, client, "XADD s 1-1 f v");
    run(&mut engine, client, &format!("{read} >"));
    let (sync, _) = engine.space.begin_sync().unwrap();
    engine.space.end_sync(sync);
    let (dirty, reader) = (engine.space.dirty, connect(&mut engine));
    run(&mut engine, reader, &format!("{read} 1-1"));
    let (may, all) = may_send(&mut engine, reader);
    assert_eq!(may, all, "it gives nothing");
    run(&mut engine, reader, &format!("{read} 0"));
    assert_eq!(may_send(&mut engine, reader).0, may);
    assert_eq!(engine.space.dirty, dirty);
}

/// As in Redis 7.0: a position that is set alone is a change, and is part of the first claim's.
#[test]
fn the_position_that_a_claim_sets_counts_as_a_change() {
    let mut engine = strict();
    let client = connect(&mut engine);
    for words in ["XADD s 1-1 f v", "XADD s 2-1 f v", "XGROUP CREATE s g 0"] {
        run(&mut engine, client, words);
    }
    run(&mut engine, client, "XREADGROUP GROUP g c COUNT 1 STREAMS s >");
    let mut changes = |words: &str| {
        let before = engine.space.dirty;
        run(&mut engine, client, words);
        engine.space.dirty - before
    };
    for (words, count) in LAST_ID_CHANGES {
        assert_eq!(changes(words), count, "{words}");
    }
}

const LAST_ID_CHANGES: [(&str, u64); 5] = [
    ("XCLAIM s g c 0 7-7 LASTID 1-2", 1),
    ("XCLAIM s g c 0 7-7 LASTID 1-2", 0),
    ("XCLAIM s g c 0 1-1 LASTID 1-3", 1),
    ("XCLAIM s g c 0 1-1 LASTID 1-1", 1),
    // The consumer appears, which it does not in Redis.
    ("XCLAIM s g new 0 7-7 LASTID 1-4", 2),
];

/// As in Redis: who watches a key whose time comes has a transaction that is broken, also where
/// nobody has looked at the key since; who watches one whose time is over has not. Fails without
/// `expire_watched`, and if WATCH does not remove what is due.
#[test]
fn a_key_is_gone_for_who_watches_it_once_its_time_is_over() {
    for (watched_before, reply) in [(true, "*-1\r\n"), (false, "*1\r\n+PONG\r\n")] {
        let mut engine = Engine::new(Store::in_memory().unwrap(), None, Config::default());
        let client = connect(&mut engine);
        run(&mut engine, client, "XADD s 1-1 f v");
        if watched_before {
            run(&mut engine, client, "WATCH s");
            // Not by a command, which would break the transaction.
            let soon = engine.clock.now_ms() + 1;
            engine.store.stream("s").unwrap().set_expires_at(Some(soon)).unwrap();
            engine.context(0, false).note_expiry(b"s");
        } else {
            run(&mut engine, client, "PEXPIRE s 1");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
        if !watched_before {
            run(&mut engine, client, "WATCH s");
        }
        for words in ["MULTI", "PING"] {
            run(&mut engine, client, words);
        }
        let out = &engine.clients.get(client).unwrap().out;
        let from = out.len();
        run(&mut engine, client, "EXEC");
        let told = &engine.clients.get(client).unwrap().out.bytes()[from..];
        assert_eq!(told, reply.as_bytes());
    }
}

/// So many commands on one key, as they come together.
fn run_adds(engine: &mut Engine, client: usize, commands: &[&str]) {
    let (mut words, mut ends) = (Vec::new(), Vec::new());
    for command in commands {
        words.extend(command.split(' ').map(str::as_bytes));
        ends.push(words.len());
    }
    engine.execute_adds(client, &words, &ends);
}

/// What a client was sent so far.
fn sent(engine: &Engine, client: usize) -> String {
    String::from_utf8(engine.clients.get(client).unwrap().out.bytes().to_vec()).unwrap()
}

const ADDS: [&str; 3] = ["XADD s * f v", "xadd s * f v g w", "XADD s * f u"];

/// Fails if the IDs are not those of one by one, if a command is not counted, or if they were not
/// appended together.
#[test]
fn commands_in_a_row_are_answered_as_one_by_one() {
    let mut all = Vec::new();
    for together in [true, false] {
        let mut engine = strict();
        let (client, watcher) = (connect(&mut engine), connect(&mut engine));
        // Ahead of every clock, so that the IDs do not depend on it.
        run(&mut engine, client, "XADD s 9999999999999-18446744073709551614 f v");
        run(&mut engine, watcher, "WATCH s");
        let (first, _) = engine.space.begin_sync().unwrap();
        engine.space.end_sync(first);
        let told = sent(&engine, client).len();
        let before = engine.store.health().unsynced_bytes;
        match together {
            true => run_adds(&mut engine, client, &ADDS),
            false => ADDS.iter().for_each(|command| run(&mut engine, client, command)),
        }
        let bytes = engine.store.health().unsynced_bytes - before;
        assert_eq!(may_send(&mut engine, client).0, told);
        let line = engine.clients.get(client).unwrap().last_line;
        let calls = engine.stats.of(line).unwrap().calls;
        assert!(engine.clients.get(watcher).unwrap().broken);
        let entries: Vec<_> =
            engine.store.stream("s").unwrap().range(..).map(Result::unwrap).collect();
        let counts = (engine.stats.commands, calls, engine.space.dirty);
        all.push((bytes, (sent(&engine, client), counts, entries)));
    }
    let [(bytes, together), (more, apart)] = &all[..] else { panic!() };
    assert_eq!(together, apart);
    assert!(bytes < more, "{bytes} bytes together, {more} one by one");
}

#[test]
fn what_makes_a_difference_is_done_one_by_one() {
    // A transaction takes each of them.
    let mut engine = strict();
    let client = connect(&mut engine);
    run(&mut engine, client, "MULTI");
    run_adds(&mut engine, client, &ADDS);
    assert_eq!(sent(&engine, client), "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
    // Of whom one reply is to be left out gets the others.
    let quiet = connect(&mut engine);
    run(&mut engine, quiet, "CLIENT REPLY SKIP");
    run_adds(&mut engine, quiet, &ADDS);
    assert_eq!(sent(&engine, quiet).matches("\r\n$").count() + 1, 2);
    // Who waits has what the first one brought.
    let waiting = connect(&mut engine);
    run(&mut engine, waiting, "XREAD BLOCK 0 STREAMS t $");
    run_adds(&mut engine, quiet, &["XADD t * f 1", "XADD t * f 2"]);
    assert_eq!(sent(&engine, waiting).matches("$1\r\nf\r\n").count(), 1);
    // Who has not given the password is told so each time.
    let stranger = connect(&mut engine);
    engine.clients.get_mut(stranger).unwrap().trusted = false;
    run_adds(&mut engine, stranger, &ADDS);
    assert_eq!(sent(&engine, stranger).matches("-NOAUTH").count(), 3);
}

/// One that is too large is refused, and the others are not.
#[test]
fn one_that_is_refused_takes_no_other_with_it() {
    let mut engine = strict();
    let client = connect(&mut engine);
    let stream = engine.store.stream("s").unwrap();
    stream.set_options(&stream.options().unwrap().max_entry_bytes(64)).unwrap();
    let large = format!("XADD s * f {}", "x".repeat(100));
    run_adds(&mut engine, client, &["XADD s * f 1", &large, "XADD s * f 2"]);
    assert_eq!(sent(&engine, client).lines().filter(|line| line.starts_with('-')).count(), 1);
    assert_eq!(stream.len().unwrap(), 2);
    // A key that no client may have is refused as ever.
    let reserved: [&[u8]; 5] = [b"XADD", b"\0db\x01k", b"*", b"f", b"v"];
    let other = connect(&mut engine);
    engine.execute_adds(other, &[reserved, reserved].concat(), &[5, 10]);
    assert_eq!(sent(&engine, other), format!("-{}\r\n", Refusal::RESERVED_NAME.0).repeat(2));
    assert_eq!(engine.store.names().len(), 1);
}

/// Fails if commands are run for somebody who has gone over his limit and hears of none.
#[test]
fn nobody_appends_who_is_gone() {
    let mut engine = strict();
    let client = connect(&mut engine);
    run(&mut engine, client, "XADD s * f 1");
    engine.clients.get_mut(client).unwrap().dead = true;
    let large = format!("XADD s * f {}", "x".repeat(1 << 20));
    let stream = engine.store.stream("s").unwrap();
    stream.set_options(&stream.options().unwrap().max_entry_bytes(64)).unwrap();
    run_adds(&mut engine, client, &[&large, "XADD s * f 2"]);
    assert_eq!(stream.len().unwrap(), 1);
}
