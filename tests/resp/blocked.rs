//! Clients that wait: they delay only themselves, and are woken in order by whoever has something.

use crate::client::Served;
use std::time::{Duration, Instant};
use streamlog::resp::ServerOptions;
use streamlog::{EntryId, Start, Store};

#[test]
fn a_client_that_waits_delays_only_itself() {
    let served = Served::start(ServerOptions::new());
    let (mut waiting, mut other) = (served.client(), served.client());
    // What is behind the call has to wait, too.
    waiting.raw("XREAD BLOCK 0 STREAMS s $\r\nPING behind\r\n");
    other.until_info("blocked_clients", "1");
    assert_eq!(other.ask("XADD s 5-1 f v"), "5-1");
    assert_eq!(waiting.reply().unwrap(), "*[*[s *[*[5-1 *[f v]]]]]");
    assert_eq!(waiting.reply().unwrap(), "behind");
    assert_eq!(other.info("blocked_clients"), "0");
    assert_eq!(other.info("total_blocking_keys"), "0");
}

#[test]
fn a_wait_has_an_end() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    let begun = Instant::now();
    assert_eq!(client.ask("XREAD BLOCK 50 STREAMS s 0"), "*-1");
    assert!(begun.elapsed() >= Duration::from_millis(50));
    client.ask("HELLO 3");
    assert_eq!(client.ask("XREAD BLOCK 1 STREAMS s 0"), "_");
    assert_eq!(client.ask("PING"), "+PONG");
}

#[test]
fn readers_of_a_group_are_served_in_the_order_in_which_they_came() {
    let served = Served::start(ServerOptions::new());
    let mut other = served.client();
    other.ask("XGROUP CREATE s g $ MKSTREAM");
    let mut clients = Vec::new();
    for n in 0..3 {
        let mut client = served.client();
        client.send(&format!("XREADGROUP GROUP g c{n} COUNT 1 BLOCK 0 STREAMS s >"));
        other.until_info("blocked_clients", &(n + 1).to_string());
        clients.push(client);
    }
    assert_eq!(other.info("total_blocking_keys_on_nokey"), "1");
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(other.info("blocked_clients"), (3 - n).to_string());
        other.ask(&format!("XADD s {}-0 f v", n + 1));
        assert_eq!(client.reply().unwrap(), format!("*[*[s *[*[{}-0 *[f v]]]]]", n + 1));
    }
}

#[test]
fn the_end_of_a_stream_is_told_to_its_groups_readers_alone() {
    let served = Served::start(ServerOptions::new());
    let (mut reader, mut member, mut other) = (served.client(), served.client(), served.client());
    other.ask("XGROUP CREATE s g $ MKSTREAM");
    reader.send("XREAD BLOCK 0 STREAMS s $");
    member.send("XREADGROUP GROUP g c BLOCK 0 STREAMS s >");
    other.until_info("blocked_clients", "2");
    other.ask("DEL s");
    assert!(member.reply().unwrap().starts_with("-NOGROUP"));
    assert_eq!(other.info("blocked_clients"), "1");
    // A transaction is looked at when all of it is done.
    other.raw("MULTI\r\nXADD s 1-1 f v\r\nDEL s\r\nEXEC\r\n");
    (0..4).for_each(|_| drop(other.reply().unwrap()));
    assert_eq!(other.info("blocked_clients"), "1");
    other.ask("XADD s 2-1 f v");
    assert_eq!(reader.reply().unwrap(), "*[*[s *[*[2-1 *[f v]]]]]");
}

#[test]
fn a_wait_is_ended_by_others() {
    let served = Served::start(ServerOptions::new());
    let (mut waiting, mut other) = (served.client(), served.client());
    let id = waiting.ask("CLIENT ID").trim_start_matches(':').to_owned();
    for (how, reply) in [
        ("", "*-1"),
        ("TIMEOUT", "*-1"),
        ("ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK"),
    ] {
        waiting.send("XREAD BLOCK 0 STREAMS s $");
        other.until_info("blocked_clients", "1");
        assert_eq!(other.ask(&format!("CLIENT UNBLOCK {id} {how}")), ":1");
        assert_eq!(waiting.reply().unwrap(), reply);
        assert_eq!(other.ask(&format!("CLIENT UNBLOCK {id} {how}")), ":0");
    }
    waiting.send("XREAD BLOCK 0 STREAMS s $");
    other.until_info("blocked_clients", "1");
    assert_eq!(other.ask(&format!("CLIENT KILL ID {id}")), ":1");
    assert_eq!(waiting.reply(), None);
    other.until_info("blocked_clients", "0");
}

#[test]
fn who_goes_while_he_waits_is_forgotten() {
    let served = Served::start(ServerOptions::new());
    let (mut waiting, mut other) = (served.client(), served.client());
    other.ask("XGROUP CREATE s g $ MKSTREAM");
    waiting.send("XREADGROUP GROUP g c BLOCK 0 STREAMS s >");
    other.until_info("blocked_clients", "1");
    drop(waiting);
    other.until_info("blocked_clients", "0");
    // Also one who has hung up before he was heard.
    let mut waiting = served.client();
    waiting.raw("XREADGROUP GROUP g c BLOCK 0 STREAMS s >\r\n");
    waiting.ends_sending();
    assert_eq!(waiting.reply(), None);
    other.until_info("blocked_clients", "0");
    other.ask("XADD s 1-1 f v");
    assert_eq!(other.ask("XREADGROUP GROUP g d STREAMS s >"), "*[*[s *[*[1-1 *[f v]]]]]");
}

/// Fails if `Arrivals` does not stand on the list, or not again once it was woken.
#[test]
fn what_the_application_appends_wakes_a_client() {
    let store = Store::in_memory().unwrap();
    let served = Served::on(&store, ServerOptions::new());
    let (mut client, mut other) = (served.client(), served.client());
    let stream = store.stream("s").unwrap();
    for n in 1..20 {
        client.send("XREAD BLOCK 0 STREAMS s $");
        other.until_info("blocked_clients", "1");
        stream
            .append_with([("n", "v")], streamlog::AppendOptions::new().id(EntryId::new(n, 0)))
            .unwrap();
        assert_eq!(client.reply().unwrap(), format!("*[*[s *[*[{n}-0 *[n v]]]]]"));
    }
}

/// Fails if the change of names wakes nobody.
#[test]
fn a_stream_that_the_application_makes_wakes_a_client() {
    let store = Store::in_memory().unwrap();
    let served = Served::on(&store, ServerOptions::new());
    let (mut client, mut other) = (served.client(), served.client());
    client.send("XREAD BLOCK 0 STREAMS new 0");
    other.until_info("blocked_clients", "1");
    store.stream("new").unwrap().append([("n", "v")]).unwrap();
    assert!(client.reply().unwrap().starts_with("*[*[new *[*["));
    // A group that it removes, or a stream, their readers.
    for whole in [false, true] {
        let stream = store.stream("new").unwrap();
        stream.create_group("g", Start::Last).unwrap();
        client.send("XREADGROUP GROUP g c BLOCK 0 STREAMS new >");
        other.until_info("blocked_clients", "1");
        let removed = if whole { store.remove("new") } else { stream.remove_group("g") };
        assert!(removed.unwrap());
        assert!(client.reply().unwrap().starts_with("-NOGROUP"));
    }
}
