//! One client takes nothing from another.

use crate::client::{LONG, Served};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use streamlog::resp::ServerOptions;

/// A client that sends without a pause is not served without a pause. Fails if a turn has no end.
#[test]
fn a_flood_does_not_drown_the_others() {
    let served = Served::start(ServerOptions::new());
    let (mut flood, mut other) = (served.client(), served.client());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut sending = flood.socket.try_clone().unwrap();
        scope.spawn(|| {
            let many = b"XADD s * f v\r\n".repeat(5000);
            while !over.load(Ordering::Relaxed) {
                if sending.write_all(&many).is_err() {
                    break;
                }
            }
            drop(sending);
        });
        scope.spawn(|| while flood.reply().is_some() {});
        other.until_info("connected_clients", "2");
        let mut slowest = Duration::ZERO;
        for _ in 0..50 {
            let begun = Instant::now();
            assert_eq!(other.ask("PING"), "+PONG");
            slowest = slowest.max(begun.elapsed());
        }
        over.store(true, Ordering::Relaxed);
        assert!(slowest < LONG / 4, "a PING took {slowest:?}");
        other.ask("CLIENT KILL TYPE normal");
    });
}

/// Who does not read is not served, and what waits for it stays small. Fails if commands are run
/// whatever waits to be sent.
#[test]
fn a_slow_reader_costs_little() {
    let served = Served::start(ServerOptions::new());
    let (slow, mut other) = (served.client(), served.client());
    other.send_words(&[b"XADD", b"s", b"1-1", b"f", &vec![b'x'; 100_000]]);
    other.reply().unwrap();
    let mut sending = slow.socket.try_clone().unwrap();
    sending.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let many = b"XRANGE s - +\r\n".repeat(1000);
    // Until the server takes no more.
    let sent = (0..1000).take_while(|_| sending.write_all(&many).is_ok()).count();
    assert!(sent < 1000, "the server has read all of it");
    let waiting: u64 = other.info("mem_clients_normal").parse().unwrap();
    assert!(waiting < 2 << 20, "{waiting} bytes wait");
    assert_eq!(other.ask("PING"), "+PONG");
}

/// A client that reads late gets everything, and in order.
#[test]
fn who_reads_late_misses_nothing() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    client.send_words(&[b"XADD", b"s", b"1-1", b"f", &vec![b'x'; 10_000]]);
    client.reply().unwrap();
    let mut sending = client.socket.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for n in 0..2000 {
            write!(sending, "XRANGE s - +\r\nPING {n}\r\n").unwrap();
        }
    });
    std::thread::sleep(Duration::from_millis(300));
    for n in 0..2000 {
        assert!(client.reply().unwrap().starts_with("*[*[1-1 "));
        assert_eq!(client.reply().unwrap(), n.to_string());
    }
    writer.join().unwrap();
}

#[test]
fn clients_that_are_silent_are_told_of_nothing() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    client
        .raw("CLIENT REPLY SKIP\r\nPING skipped\r\nPING heard\r\nCLIENT REPLY OFF\r\nPING off\r\n");
    client.raw("XADD s 1-1 f v\r\nCLIENT REPLY ON\r\nXLEN s\r\n");
    assert_eq!(client.reply().unwrap(), "heard");
    assert_eq!(client.reply().unwrap(), "+OK");
    assert_eq!(client.reply().unwrap(), ":1");
}

/// Fails if each key is looked for among all that came before: that takes minutes.
#[test]
fn very_many_keys_are_waited_for_and_watched_without_delay() {
    const KEYS: usize = 100_000;
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    let names: Vec<String> = (0..KEYS).map(|n| format!("key-{n}")).collect();
    let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
    let first: Vec<&[u8]> = "XREAD BLOCK 1 STREAMS".split(' ').map(str::as_bytes).collect();
    let begun = Instant::now();
    client.send_words(&[&first[..], &names[..], &vec![&b"0"[..]; KEYS][..]].concat());
    assert_eq!(client.reply().as_deref(), Some("*-1"));
    client.send_words(&[&[&b"WATCH"[..]][..], &names[..]].concat());
    assert_eq!(client.reply().as_deref(), Some("+OK"));
    assert!(begun.elapsed() < LONG);
}

/// Fails if each time that a key is named goes through all that is pending: then a short command
/// holds up all others for as long as it likes.
#[test]
fn what_is_claimed_is_claimed_once_in_a_command() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    for n in 1..=50 {
        client.ask(&format!("XADD s {n}-1 f v"));
    }
    client.ask("XGROUP CREATE s g 0");
    client.ask("XREADGROUP GROUP g one STREAMS s >");
    let (keys, signs) = (" s".repeat(1000), " >".repeat(1000));
    let found = client.ask(&format!("XREADGROUP GROUP g two CLAIM 0 STREAMS{keys}{signs}"));
    assert_eq!(found.matches("[f v]").count(), 50);
    // Each was delivered, and claimed, and nothing else.
    let pending = client.ask("XPENDING s g - + 100");
    assert_eq!(pending.matches(" two ").count(), 50, "{pending}");
    assert_eq!(pending.matches(" :2]").count(), 50, "{pending}");
    // Where there was no room, the next time has the rest.
    std::thread::sleep(std::time::Duration::from_millis(5));
    let found = client.ask("XREADGROUP GROUP g one COUNT 30 CLAIM 0 STREAMS s s s > > >");
    assert_eq!(found.matches("[f v]").count(), 50);
}
