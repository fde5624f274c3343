//! A server with a store of its own: what it writes is there afterwards.

use crate::client::{Client, Served};
use streamlog::resp::{AppendFsync, ServerOptions};
use streamlog::{Store, StoreOptions};

fn open(dir: &std::path::Path, when: AppendFsync) -> Served {
    let options = ServerOptions::new().port(0).append_fsync(when).enable_debug_command(true);
    Served::run(options.open(dir, &StoreOptions::default()).unwrap())
}

#[test]
fn what_was_written_is_there_when_the_store_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    for when in [AppendFsync::Always, AppendFsync::EverySecond, AppendFsync::Never] {
        let served = open(dir.path(), when);
        let mut client = served.client();
        client.ask("FLUSHALL");
        for n in 1..=10 {
            assert_eq!(client.ask(&format!("XADD s {n}-1 f v")), format!("{n}-1"));
        }
        client.ask("SELECT 3");
        client.ask("XGROUP CREATE s g 0 MKSTREAM");
        assert_eq!(client.ask("DEBUG RELOAD"), "+OK");
        assert_eq!(client.ask("EXISTS s"), ":1");
        client.ask("SWAPDB 0 3");
        assert_eq!(client.ask("DEBUG RELOAD"), "+OK");
        assert_eq!(client.ask("XLEN s"), ":10");
        client.ask("SWAPDB 3 0");
        client.ask("SELECT 0");
        assert_eq!(client.ask("XLEN s"), ":10");
        client.send("SHUTDOWN");
        assert_eq!(client.reply(), None);
        served.ended().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.get("s").unwrap().unwrap().len().unwrap(), 10);
        store.close().unwrap();
    }
}

/// Fails if a connection is closed as soon as it is known that nothing more comes.
#[test]
fn who_hangs_up_hears_of_what_he_has_written() {
    let dir = tempfile::tempdir().unwrap();
    let served = open(dir.path(), AppendFsync::Always);
    for n in 1..50 {
        let mut client = served.client();
        client.raw(format!("XADD s {n}-1 f v\r\n"));
        client.ends_sending();
        assert_eq!(client.until_end(), [format!("{n}-1")]);
        // Also who would wait next.
        let mut client = served.client();
        client.raw(format!("XADD s {n}-2 f v\r\nXREAD BLOCK 0 STREAMS s $\r\n"));
        client.ends_sending();
        assert_eq!(client.until_end(), [format!("{n}-2")]);
    }
}

/// Fails if each change begins a sync of its own, or if replies go out before it.
#[test]
fn clients_that_write_at_the_same_time_share_syncs() {
    const CLIENTS: usize = 16;
    const EACH: usize = 50;
    let dir = tempfile::tempdir().unwrap();
    let served = open(dir.path(), AppendFsync::Always);
    let address = served.address();
    std::thread::scope(|scope| {
        for n in 0..CLIENTS {
            scope.spawn(move || {
                let mut client = Client::connect(address);
                for _ in 0..EACH {
                    assert!(!client.ask(&format!("XADD s{} * f v", n % 4)).starts_with('-'));
                }
            });
        }
    });
    let mut client = served.client();
    let syncs: usize = client.info("group_commits").parse().unwrap();
    assert!(syncs > 0 && syncs < CLIENTS * EACH, "{syncs} syncs");
    // In one go, one is enough for all.
    client.raw("XADD s * f v\r\n".repeat(100));
    (0..100).for_each(|_| drop(client.reply().unwrap()));
    let more: usize = client.info("group_commits").parse().unwrap();
    assert!(more - syncs <= 10, "{} syncs for one batch", more - syncs);
}

#[test]
fn a_server_of_the_applications_does_not_close_its_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let served = Served::on(&store, ServerOptions::new().enable_debug_command(true));
    let mut client = served.client();
    assert!(client.ask("DEBUG RELOAD").starts_with("-ERR the application"));
    assert!(client.ask("CONFIG SET appendfsync always").starts_with("-ERR CONFIG SET failed"));
    client.send("SHUTDOWN");
    assert_eq!(client.reply(), None);
    served.ended().unwrap();
    store.stream("s").unwrap().append([("f", "v")]).unwrap();
}

#[test]
fn debug_is_for_those_who_asked_for_it() {
    let served = Served::start(ServerOptions::new());
    assert!(served.client().ask("DEBUG SLEEP 0").starts_with("-ERR DEBUG command not allowed"));
}
