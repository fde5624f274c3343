//! MULTI, EXEC, DISCARD, WATCH.

use crate::client::Served;
use streamlog::resp::ServerOptions;
use streamlog::{AppendOptions, EntryId, Store, Trim};

#[test]
fn commands_are_run_in_one_go() {
    let served = Served::start(ServerOptions::new());
    let (mut client, mut other) = (served.client(), served.client());
    assert_eq!(client.ask("EXEC"), "-ERR EXEC without MULTI");
    assert_eq!(client.ask("DISCARD"), "-ERR DISCARD without MULTI");
    assert_eq!(client.ask("MULTI"), "+OK");
    assert_eq!(client.ask("MULTI"), "-ERR MULTI calls can not be nested");
    assert_eq!(client.ask("XADD s 1-1 f v"), "+QUEUED");
    assert_eq!(client.ask("XADD s 1-1 f v"), "+QUEUED");
    assert_eq!(client.ask("XREAD BLOCK 0 STREAMS none $"), "+QUEUED");
    assert_eq!(client.ask("XLEN s"), "+QUEUED");
    assert_eq!(other.ask("XLEN s"), ":0");
    assert_eq!(
        client.ask("EXEC"),
        "*[1-1 -ERR The ID specified in XADD is equal or smaller than the target stream top item \
         *-1 :1]"
    );
    assert_eq!(client.ask("MULTI"), "+OK");
    assert_eq!(client.ask("DEL s"), "+QUEUED");
    assert_eq!(client.ask("DISCARD"), "+OK");
    assert_eq!(client.ask("XLEN s"), ":1");
}

#[test]
fn one_that_is_refused_takes_all_with_it() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    for bad in ["NOSUCH", "XADD s", "XINFO NOSUCH s", "SHUTDOWN"] {
        assert_eq!(client.ask("MULTI"), "+OK");
        assert_eq!(client.ask("XADD s * f v"), "+QUEUED");
        assert!(client.ask(bad).starts_with("-ERR"), "{bad}");
        assert_eq!(
            client.ask("EXEC"),
            "-EXECABORT Transaction discarded because of previous errors."
        );
    }
    assert_eq!(client.ask("XLEN s"), ":0");
    assert_eq!(client.ask("MULTI"), "+OK");
    assert_eq!(
        client.ask("EXEC now"),
        "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command"
    );
    assert_eq!(client.ask("EXEC"), "-ERR EXEC without MULTI");
}

#[test]
fn what_is_watched_and_changed_by_others_breaks_it() {
    let served = Served::start(ServerOptions::new());
    let (mut client, mut other) = (served.client(), served.client());
    let changes = [
        "XADD s 1-1 f v",
        "XDEL s 1-1",
        "XADD s 2-1 f v",
        "XTRIM s MAXLEN 0",
        "RENAME s t",
        "FLUSHALL",
    ];
    for change in changes {
        assert_eq!(client.ask("WATCH s t"), "+OK");
        assert!(!other.ask(change).starts_with('-'), "{change}");
        assert_eq!(client.ask("MULTI"), "+OK");
        assert_eq!(client.ask("WATCH s"), "-ERR WATCH inside MULTI is not allowed");
        assert_eq!(client.ask("PING"), "+QUEUED");
        assert_eq!(client.ask("EXEC"), "*-1", "{change}");
    }
    for harmless in ["XLEN s", "XADD other 1-1 f v", "XRANGE s - +"] {
        assert_eq!(client.ask("WATCH s"), "+OK");
        other.ask(harmless);
        assert_eq!(client.ask("MULTI"), "+OK");
        assert_eq!(client.ask("PING"), "+QUEUED");
        assert_eq!(client.ask("EXEC"), "*[+PONG]", "{harmless}");
    }
    assert_eq!(client.ask("WATCH s"), "+OK");
    assert_eq!(client.ask("UNWATCH"), "+OK");
    other.ask("XADD s 1-1 f v");
    assert_eq!(client.ask("MULTI"), "+OK");
    assert_eq!(client.ask("EXEC"), "*[]");
}

/// Fails if only what clients do is noticed.
#[test]
fn what_the_application_changes_breaks_it_too() {
    let store = Store::in_memory().unwrap();
    let served = Served::on(&store, ServerOptions::new());
    let mut client = served.client();
    let add = |name: &str, ms| {
        let options = AppendOptions::new().id(EntryId::new(ms, 1));
        store.stream(name).unwrap().append_with([("f", "v")], options).unwrap();
    };
    type Change<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let changes: Vec<Change<'_>> = vec![
        ("made", Box::new(|| drop(store.stream("s").unwrap()))),
        ("appended", Box::new(|| (1..=4).for_each(|ms| add("s", ms)))),
        (
            "deleted",
            Box::new(|| drop(store.get("s").unwrap().unwrap().delete([EntryId::new(2, 1)]))),
        ),
        ("trimmed", Box::new(|| drop(store.get("s").unwrap().unwrap().trim(Trim::max_len(1))))),
        ("removed", Box::new(|| assert!(store.remove("s").unwrap()))),
        ("made anew", Box::new(|| add("s", 4))),
        (
            "replaced by the same",
            Box::new(|| {
                assert!(store.remove("s").unwrap());
                add("s", 4);
            }),
        ),
    ];
    let mut exec = |change: &dyn Fn()| {
        assert_eq!(client.ask("WATCH s t"), "+OK");
        change();
        assert_eq!(client.ask("MULTI"), "+OK");
        assert_eq!(client.ask("PING"), "+QUEUED");
        client.ask("EXEC")
    };
    for (what, change) in &changes {
        assert_eq!(exec(change), "*-1", "{what}");
        assert_eq!(exec(&|| ()), "*[+PONG]", "nothing was {what}");
    }
    assert_eq!(exec(&|| add("other", 1)), "*[+PONG]");
    // As with clients, a group is no part of it.
    let group = || drop(store.get("s").unwrap().unwrap().create_group("g", streamlog::Start::Last));
    assert_eq!(exec(&group), "*[+PONG]");
}
