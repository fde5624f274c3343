//! Commands on whole streams, and the databases.

use crate::client::Served;
use streamlog::Store;
use streamlog::resp::ServerOptions;

#[test]
fn databases_are_name_spaces_of_their_own() {
    let store = Store::in_memory().unwrap();
    let served = Served::on(&store, ServerOptions::new());
    let mut client = served.client();
    client.ask("XADD s 1-1 f zero");
    assert_eq!(client.ask("SELECT 16"), "-ERR DB index is out of range");
    assert_eq!(client.ask("SELECT 15"), "+OK");
    assert_eq!(client.ask("EXISTS s"), ":0");
    client.ask("XADD s 2-1 f fifteen");
    assert_eq!(client.ask("XLEN s"), ":1");
    assert_eq!(client.ask("MOVE s 0"), ":0");
    assert_eq!(client.ask("SWAPDB 0 15"), "+OK");
    assert_eq!(client.ask("XRANGE s - +"), "*[*[1-1 *[f zero]]]");
    assert_eq!(client.ask("FLUSHDB"), "+OK");
    assert_eq!(client.ask("DBSIZE"), ":0");
    client.ask("SELECT 0");
    assert_eq!(client.ask("XRANGE s - +"), "*[*[2-1 *[f fifteen]]]");
    assert_eq!(client.ask("MOVE s 4"), ":1");
    assert_eq!(client.ask("DBSIZE"), ":0");
    client.ask("SELECT 4");
    assert_eq!(client.ask("COPY s s DB 0"), ":1");
    assert_eq!(client.ask("COPY s s DB 0"), ":0");
    assert_eq!(client.ask("COPY s s"), "-ERR source and destination objects are the same");
    // Database 0 is what the application has.
    assert!(store.exists("s"));
    assert_eq!(client.ask("FLUSHALL"), "+OK");
    assert_eq!(store.names(), Vec::<Vec<u8>>::new());
    client.ask("SELECT 0");
    client.send_words(&[b"XADD", b"\0db\x01s", b"*", b"f", b"v"]);
    assert!(client.reply().unwrap().starts_with("-ERR keys that begin with"));
}

/// Fails if the streams are renamed one by one until one of them cannot be.
#[test]
fn a_swap_that_is_refused_leaves_everything_where_it_was() {
    let store = Store::in_memory().unwrap();
    let served = Served::on(&store, ServerOptions::new());
    let mut client = served.client();
    let long = "z".repeat(255);
    for key in ["a", "m", &long] {
        client.ask(&format!("XADD {key} 1-1 f v"));
    }
    client.ask("SELECT 5");
    client.ask("XADD a 2-1 f v");
    // In database 0 it would be a key of database 1.
    client.send_words(&[b"XADD", b"\0db\x01s", b"3-1", b"f", b"v"]);
    assert_eq!(client.reply().unwrap(), "3-1");
    let before = store.names();
    assert!(client.ask("SWAPDB 5 0").starts_with("-ERR keys that begin with"));
    assert!(client.ask("SWAPDB 0 6").starts_with("-ERR the stream name has 259 bytes"));
    assert_eq!(store.names(), before);
    assert_eq!(client.ask("XRANGE a - +"), "*[*[2-1 *[f v]]]");
    assert_eq!(client.ask("SWAPDB 5 6"), "+OK");
    assert_eq!(client.ask("DBSIZE"), ":0");
    client.ask("SELECT 6");
    assert_eq!(client.ask("DBSIZE"), ":2");
}

#[test]
fn a_scan_sees_every_key_that_stays() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    for n in 0..100 {
        client.ask(&format!("XGROUP CREATE key{n} g $ MKSTREAM"));
    }
    let (mut cursor, mut seen, mut rounds) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let reply = client.ask(&format!("SCAN {cursor} COUNT 7 MATCH key* TYPE stream"));
        let words: Vec<&str> = reply.trim_matches(['*', '[', ']']).split(' ').collect();
        cursor = words[0].to_owned();
        let found = words[1..].iter().map(|word| word.trim_start_matches("*[").to_owned());
        seen.extend(found.filter(|word| !word.is_empty()));
        // Those that come and go move nobody.
        client.ask(&format!("XGROUP CREATE other{rounds} g $ MKSTREAM"));
        client.ask(&format!("DEL other{}", rounds / 2));
        rounds += 1;
        if cursor == "0" {
            break;
        }
    }
    assert!(rounds > 10, "{rounds}");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 100);
}

#[test]
fn keys_have_names_and_nothing_else() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    client.ask("XADD s 1-1 f v");
    for (words, reply) in [
        ("TYPE s", "+stream"),
        ("TYPE none", "+none"),
        ("TTL s", ":-1"),
        ("PTTL none", ":-2"),
        ("EXISTS s s none", ":2"),
        ("OBJECT ENCODING s", "stream"),
        ("OBJECT ENCODING none", "$-1"),
        ("OBJECT NOSUCH s", "-ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP."),
        ("OBJECT HELP x", "-ERR wrong number of arguments for 'object|help' command"),
        ("OBJECT", "-ERR wrong number of arguments for 'object' command"),
        ("RENAME none t", "-ERR no such key"),
        ("RENAMENX s s", ":0"),
        ("RENAME s s", "+OK"),
        ("RENAMENX s t", ":1"),
        ("KEYS [a-t]", "*[t]"),
        ("UNLINK t none", ":1"),
        ("RANDOMKEY", "$-1"),
        ("SET a b", "-ERR streamlog serves streams only, and does not have this command"),
        ("SET a", "-ERR wrong number of arguments for 'set' command"),
        ("NOSUCH a b", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "),
        ("SCAN x", "-ERR invalid cursor"),
        ("WAIT 0 0", ":0"),
    ] {
        assert_eq!(client.ask(words), reply, "{words}");
    }
    for command in ["OBJECT", "CLIENT", "CONFIG", "COMMAND", "MEMORY", "XGROUP", "XINFO"] {
        let help = client.ask(&format!("{command} HELP"));
        assert!(help.starts_with(&format!("*[+{command} <subcommand>")), "{help}");
    }
}

/// Fails if what a claim takes out, as its entry is gone, is not counted.
#[test]
fn what_a_claim_takes_out_is_a_change() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    for n in 1..=4 {
        client.ask(&format!("XADD s {n}-1 f v"));
    }
    client.ask("XGROUP CREATE s g 0");
    client.ask("XREADGROUP GROUP g one STREAMS s >");
    client.ask("XGROUP CREATECONSUMER s g two");
    client.ask("XDEL s 1-1 2-1");
    let changes = |client: &mut crate::client::Client| -> u64 {
        client.info("rdb_changes_since_last_save").parse().unwrap()
    };
    let before = changes(&mut client);
    assert_eq!(client.ask("XCLAIM s g two 0 1-1 3-1"), "*[*[3-1 *[f v]]]");
    assert_eq!(changes(&mut client), before + 2);
    // However young it is, and once only.
    assert_eq!(client.ask("XCLAIM s g two 99999999 2-1 2-1 4-1 JUSTID"), "*[]");
    assert_eq!(changes(&mut client), before + 3);
    assert_eq!(client.ask("XCLAIM s g two 0 1-1 4-1 JUSTID"), "*[4-1]");
    assert_eq!(changes(&mut client), before + 4);
}
