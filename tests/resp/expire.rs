//! Keys that go by themselves.

use crate::client::Served;
use std::time::Duration;
use streamlog::Store;
use streamlog::resp::ServerOptions;

/// Fails if a condition is turned around, or if an error has other words than Redis's.
#[test]
fn replies_to_expire_and_its_kin_are_those_of_redis() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    client.ask("XADD s 1-1 f v");
    let both = "-ERR NX and XX, GT or LT options at the same time are not compatible";
    for (words, reply) in [
        ("TTL s", ":-1"),
        ("PEXPIRETIME none", ":-2"),
        ("EXPIRE none 10", ":0"),
        ("EXPIRE s", "-ERR wrong number of arguments for 'expire' command"),
        ("EXPIRE s abc", "-ERR value is not an integer or out of range"),
        ("EXPIRE s abc zz", "-ERR Unsupported option zz"),
        ("EXPIRE s 10 XX LT NX", both),
        ("EXPIRE s 10 GT LT", "-ERR GT and LT options at the same time are not compatible"),
        ("EXPIRE none 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
        ("PEXPIRE s 9223372036854775807", "-ERR invalid expire time in 'pexpire' command"),
        ("EXPIREAT s -9223372036854775807", "-ERR invalid expire time in 'expireat' command"),
        ("EXPIRE s 10 XX", ":0"),
        ("EXPIRE s 10 GT", ":0"),
        ("PERSIST s", ":0"),
        ("PEXPIREAT s 9223372036854775807 lt", ":1"),
        ("PEXPIRETIME s", ":9223372036854775807"),
        ("EXPIRETIME s", ":9223372036854776"),
        ("EXPIRE s 100000 NX", ":0"),
        ("EXPIRE s 100000 LT XX", ":1"),
        ("TTL s", ":100000"),
        ("EXPIRE s 200000 LT", ":0"),
        ("EXPIRE s 200000 GT", ":1"),
        ("TTL s", ":200000"),
        ("PERSIST s", ":1"),
        ("TTL s", ":-1"),
        ("EXPIREAT s 9000000000 NX", ":1"),
        ("EXPIRETIME s", ":9000000000"),
        // The past removes at once.
        ("EXPIRE s -1 GT", ":0"),
        ("EXPIRE s -1 LT", ":1"),
        ("EXISTS s", ":0"),
    ] {
        assert_eq!(client.ask(words), reply, "{words}");
    }
}

/// Fails if another name, a copy or another database leaves the time behind.
#[test]
fn a_time_goes_along_with_its_stream_and_ends_with_it() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    client.ask("XADD s 1-1 f v");
    client.ask("PEXPIREAT s 9000000000000");
    for words in ["RENAME s t", "COPY t u", "MOVE u 3", "SWAPDB 3 4", "SELECT 4"] {
        assert!(!client.ask(words).starts_with("-"), "{words}");
    }
    assert_eq!(client.ask("PEXPIRETIME u"), ":9000000000000");
    let info = client.ask("INFO keyspace");
    assert!(info.contains("db0:keys=1,expires=1") && info.contains("db4:keys=1,expires=1"));
    assert_eq!(client.ask("FLUSHDB"), "+OK");
    client.ask("XADD u 1-1 f v");
    assert_eq!(client.ask("TTL u"), ":-1");
    client.ask("SELECT 0");
    client.ask("XADD plain 1-1 f v");
    client.ask("RENAME plain t");
    assert_eq!(client.ask("TTL t"), ":-1");
    assert!(client.ask("INFO keyspace").contains("db0:keys=1,expires=0"));
}

/// Fails without the sweep: nobody asks for the key.
#[test]
fn what_is_due_goes_without_being_asked_for_and_wakes_who_waits_for_its_end() {
    let store = Store::in_memory().unwrap();
    let served = Served::on(&store, ServerOptions::new());
    let (mut client, mut waiting) = (served.client(), served.client());
    client.ask("XADD s 1-1 f v");
    client.ask("XGROUP CREATE s g $");
    waiting.send("XREADGROUP GROUP g c BLOCK 0 STREAMS s >");
    assert_eq!(client.ask("PEXPIRE s 40"), ":1");
    let reply = waiting.reply().unwrap();
    assert!(reply.starts_with("-NOGROUP") || reply.starts_with("-UNBLOCKED"), "{reply}");
    assert!(!store.exists("s"));
    assert!(client.ask("INFO stats").contains("expired_keys:1"));
}

/// Fails if only a command, and not a time, breaks a transaction.
#[test]
fn a_key_that_goes_breaks_the_transactions_that_watch_it() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    client.ask("XADD s 1-1 f v");
    client.ask("PEXPIRE s 20");
    client.ask("WATCH s");
    client.ask("MULTI");
    client.ask("PING");
    std::thread::sleep(Duration::from_millis(40));
    assert_eq!(client.ask("EXEC"), "*-1");
    assert_eq!(client.ask("XADD s NOMKSTREAM 2-1 f v"), "$-1");
    assert_eq!(client.ask("XADD s 1-1 f v"), "1-1");
}

/// Fails if the server does not look for times when it starts.
#[test]
fn times_survive_a_restart_and_run_on_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = Store::open(dir.path()).unwrap();
        let served = Served::on(&store, ServerOptions::new());
        let mut client = served.client();
        for key in ["s", "t"] {
            client.ask(&format!("XADD {key} 1-1 f v"));
        }
        client.ask("PEXPIREAT t 9000000000000");
        drop((client, served));
        // Nobody serves it when its time comes.
        store.get("s").unwrap().unwrap().set_expires_at(Some(5)).unwrap();
        store.close().unwrap();
    }
    let store = Store::open(dir.path()).unwrap();
    assert!(store.exists("s"));
    let served = Served::on(&store, ServerOptions::new());
    let mut client = served.client();
    assert_eq!(client.ask("KEYS *"), "*[t]");
    assert_eq!(client.ask("PEXPIRETIME t"), ":9000000000000");
    assert_eq!(client.ask("XLEN s"), ":0");
    drop((client, served));
    assert!(!store.exists("s"));
}
