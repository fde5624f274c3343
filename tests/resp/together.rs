//! Commands that come together: XADD commands in a row are run as one append, and nobody can tell.

use crate::client::{Client, Served, encoded};
use streamlog::StoreOptions;
use streamlog::resp::{AppendFsync, ServerOptions};

/// Sends all commands in one piece.
fn send_all(client: &mut Client, commands: &[&str]) {
    let bytes: Vec<u8> = commands
        .iter()
        .flat_map(|command| encoded(&command.split(' ').map(str::as_bytes).collect::<Vec<_>>()))
        .collect();
    client.raw(bytes);
}

fn answers(client: &mut Client, commands: &[&str]) -> Vec<String> {
    send_all(client, commands);
    commands.iter().map(|_| client.reply().unwrap()).collect()
}

/// Fails if commands are run in another order, on another key, or with those that are refused.
#[test]
fn each_has_its_own_reply_in_order() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    client.ask("XADD a 9999999999999-0 f v");
    client.ask("XADD b 9999999999999-5 f v");
    let no_pair = "-ERR wrong number of arguments for 'xadd' command";
    let expected = [
        ("XADD a * f 1", "9999999999999-1"),
        ("xadd a * f 2 g 3", "9999999999999-2"),
        ("XADD b * f 4", "9999999999999-6"),
        ("XADD b * f 5", "9999999999999-7"),
        ("XADD a * f 6", "9999999999999-3"),
        ("XADD a * f", no_pair),
        ("XADD a * f 7", "9999999999999-4"),
        ("XADD a NOMKSTREAM * f 8", "9999999999999-5"),
        ("XADD a * f 9", "9999999999999-6"),
        ("XLEN a", ":7"),
        ("XADD a 9999999999999-* f 10", "9999999999999-7"),
        ("XADD a * f 11", "9999999999999-8"),
        ("MULTI", "+OK"),
        ("XADD a * f 12", "+QUEUED"),
        ("XADD a * f 13", "+QUEUED"),
        ("EXEC", "*[9999999999999-9 9999999999999-10]"),
        ("XADD a * f 14", "9999999999999-11"),
        ("XADD a * f 15", "9999999999999-12"),
        ("SELECT 1", "+OK"),
        ("XADD a 5-5 f 16", "5-5"),
        ("SELECT 0", "+OK"),
        ("XADD a * f 17", "9999999999999-13"),
        ("XADD a * f 18", "9999999999999-14"),
    ];
    let commands: Vec<&str> = expected.iter().map(|(command, _)| *command).collect();
    let wanted: Vec<&str> = expected.iter().map(|(_, reply)| *reply).collect();
    assert_eq!(answers(&mut client, &commands), wanted);
    let range = client.ask("XRANGE a 9999999999999-1 9999999999999-2");
    assert_eq!(range, "*[*[9999999999999-1 *[f 1]] *[9999999999999-2 *[f 2 g 3]]]");
    // A plain line between them is in its place, too.
    client.raw(
        "*5\r\n$4\r\nXADD\r\n$1\r\nb\r\n$1\r\n*\r\n$1\r\nf\r\n$1\r\n1\r\nXADD b * f 2\r\n\
         *5\r\n$4\r\nXADD\r\n$1\r\nb\r\n$1\r\n*\r\n$1\r\nf\r\n$1\r\n3\r\n",
    );
    for n in 8..11 {
        assert_eq!(client.reply().unwrap(), format!("9999999999999-{n}"));
    }
    let range = client.ask("XRANGE b 9999999999999-8 +");
    assert!(range.contains("[f 1]] *[9999999999999-9 *[f 2]]"), "{range}");
}

/// More than are run together, and more than are read at a time: one is in two pieces.
#[test]
fn many_are_all_there() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    client.ask("XADD s 9999999999999-0 n 0");
    let text = "x".repeat(300);
    let commands: Vec<String> = (1..=2000).map(|n| format!("XADD s * n {n} t {text}")).collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let replies = answers(&mut client, &commands);
    for (n, reply) in (1..).zip(&replies) {
        assert_eq!(*reply, format!("9999999999999-{n}"));
    }
    assert_eq!(client.ask("XLEN s"), ":2001");
    let entry = client.ask("XRANGE s 9999999999999-1234 9999999999999-1234");
    assert_eq!(entry, format!("*[*[9999999999999-1234 *[n 1234 t {text}]]]"));
    assert!(client.info("cmdstat_xadd").starts_with("calls=2001,"));
}

#[test]
fn who_waits_is_served_by_the_first_of_them() {
    let served = Served::start(ServerOptions::new());
    let (mut waiting, mut other) = (served.client(), served.client());
    waiting.send("XREAD BLOCK 0 STREAMS s $");
    other.until_info("blocked_clients", "1");
    send_all(&mut other, &["XADD s * f 1", "XADD s * f 2", "XADD s * f 3"]);
    (0..3).for_each(|_| drop(other.reply().unwrap()));
    let read = waiting.reply().unwrap();
    assert!(read.contains("[f 1]") && !read.contains("[f 2]"), "{read}");
}

/// More than a turn may have, and more than wait for each other.
#[test]
fn those_of_a_turn_and_those_behind_it_are_in_order() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    client.ask("XADD s 9999999999999-0 f v");
    let replies = answers(&mut client, &vec!["XADD s * f v"; 3000]);
    for (n, reply) in (1..).zip(&replies) {
        assert_eq!(*reply, format!("9999999999999-{n}"));
    }
}

/// Fails if those in front of it are run behind it, or not at all.
#[test]
fn what_comes_before_nonsense_is_done() {
    let served = Served::start(ServerOptions::new());
    let (mut client, mut other) = (served.client(), served.client());
    other.ask("XADD s 9999999999999-0 f v");
    let add = "*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$1\r\nf\r\n$1\r\nv\r\n";
    client.raw(format!("{add}{add}*1\r\n!nonsense\r\n"));
    let said = client.until_end();
    assert_eq!(said[..2], ["9999999999999-1", "9999999999999-2"]);
    assert!(said.len() == 3 && said[2].starts_with("-ERR Protocol error"), "{said:?}");
    assert_eq!(other.ask("XLEN s"), ":3");
}

/// On both sides of what changes who is asking, and whether he hears of it.
#[test]
fn what_comes_between_holds_for_those_behind_it() {
    let served = Served::start(ServerOptions::new().password("pw"));
    let mut client = served.client();
    let commands = ["XADD s * f 1", "XADD s * f 2", "AUTH pw", "XADD s 5-1 f v", "XADD s * f 3"];
    let replies = answers(&mut client, &commands);
    assert!(replies[..2].iter().all(|reply| reply.starts_with("-NOAUTH")), "{replies:?}");
    assert_eq!(replies[2..4], ["+OK", "5-1"]);
    send_all(
        &mut client,
        &[
            "XADD s * f 4",
            "XADD s * f 5",
            "CLIENT REPLY OFF",
            "XADD s * f 6",
            "XADD s * f 7",
            "CLIENT REPLY ON",
            "XADD s * f 8",
            "XADD s * f 9",
            "XLEN s",
        ],
    );
    let heard: Vec<String> = (0..6).map(|_| client.reply().unwrap()).collect();
    assert_eq!((heard[2].as_str(), heard[5].as_str()), ("+OK", ":8"));
}

/// Fails if the replies to those that are run together wait for no sync.
#[test]
fn they_are_on_disk_when_they_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let options = ServerOptions::new().append_fsync(AppendFsync::Always);
    let served = Served::run(options.port(0).open(dir.path(), &StoreOptions::default()).unwrap());
    let mut client = served.client();
    client.ask("XADD s 5-5 f v");
    let syncs = |client: &mut Client| client.info("group_commits").parse::<u64>().unwrap();
    let before = syncs(&mut client);
    answers(&mut client, &["XADD s * f 1", "XADD s * f 2", "XADD s * f 3"]);
    assert!(syncs(&mut client) > before);
}
