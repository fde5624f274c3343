//! How much a client may send, and how much may wait for it.

use crate::client::{Client, Served};
use streamlog::resp::ServerOptions;

#[test]
fn there_are_so_many_clients_and_no_more() {
    let served = Served::start(ServerOptions::new().max_clients(2));
    let (mut first, mut second) = (served.client(), served.client());
    assert_eq!(first.ask("PING"), "+PONG");
    assert_eq!(second.ask("PING"), "+PONG");
    let mut third = served.client();
    assert_eq!(third.until_end(), ["-ERR max number of clients reached"]);
    assert_eq!(first.info("rejected_connections"), "1");
    drop(second);
    first.until_info("connected_clients", "1");
    assert_eq!(served.client().ask("PING"), "+PONG");
}

/// Fails if clients are taken as long as there is a descriptor.
#[cfg(unix)]
#[test]
fn whoever_comes_the_store_can_open_its_files() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let dir = tempfile::tempdir().unwrap();
    let serve = "ulimit -n 64 && exec \"$0\" serve \"$1\" --port 0";
    let mut server = Command::new("sh")
        .args(["-c", serve, env!("CARGO_BIN_EXE_streamlog")])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let mut first = Client::connect(address);
    assert_eq!(first.ask("PING"), "+PONG");
    let others: Vec<Client> = (0..100).map(|_| Client::connect(address)).collect();
    first.until_info("rejected_connections", "69");
    for n in 0..5 {
        assert_eq!(first.ask(&format!("XADD s{n} 1-1 f v")), "1-1");
    }
    drop(others);
    first.send("SHUTDOWN");
    assert!(server.wait().unwrap().success());
}

#[test]
fn a_word_may_be_so_long_and_no_longer() {
    let served = Served::start(ServerOptions::new().max_bulk_bytes(1000));
    let mut client = served.client();
    client.send_words(&[b"ECHO", &[b'x'; 1000]]);
    assert_eq!(client.reply().unwrap().len(), 1000);
    client.raw("*2\r\n$4\r\nECHO\r\n$1001\r\n");
    assert_eq!(client.until_end(), ["-ERR Protocol error: invalid bulk length"]);
}

#[test]
fn a_command_may_be_so_long_and_no_longer() {
    let served = Served::start(ServerOptions::new().max_query_bytes(1 << 20));
    let mut client = served.client();
    client.raw("*100\r\n");
    let word = [&b"$60000\r\n"[..], &[b'x'; 60_000], b"\r\n"].concat();
    for _ in 0..100 {
        if std::io::Write::write_all(&mut client.socket, &word).is_err() {
            break;
        }
    }
    assert_eq!(client.reply(), None);
    // As with a transaction, which is refused and does not grow any more.
    let mut client = served.client();
    assert_eq!(client.ask("MULTI"), "+OK");
    let mut last = String::new();
    for _ in 0..20 {
        client.send_words(&[b"ECHO", &[b'x'; 60_000]]);
        last = client.reply().unwrap();
    }
    assert!(last.starts_with("-ERR the transaction is larger"), "{last}");
    assert!(client.ask("EXEC").starts_with("-EXECABORT"));
}

/// Fails if the stream that was made for it stays.
#[test]
fn a_change_that_is_refused_makes_no_stream() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    let long = vec![b'x'; (1 << 20) + 1];
    let refused: [&[&[u8]]; 3] = [
        &[b"XADD", b"s", b"IDMPAUTO", &long, b"*", b"f", b"v"],
        &[b"XADD", b"s", b"IDMP", b"p", &long, b"*", b"f", b"v"],
        &[b"XGROUP", b"CREATE", b"s", &long, b"$", b"MKSTREAM"],
    ];
    for words in refused {
        client.send_words(words);
        let said = client.reply().unwrap();
        assert!(said.starts_with("-ERR"), "{said}");
        assert_eq!(client.ask("EXISTS s"), ":0", "{said}");
    }
    assert_eq!(client.info("rdb_changes_since_last_save"), "0");
    // One that was there stays, and so does what the application has in it.
    assert_eq!(client.ask("XGROUP CREATE s g $ MKSTREAM"), "+OK");
    client.send_words(refused[0]);
    assert!(client.reply().unwrap().starts_with("-ERR"));
    assert_eq!(client.ask("EXISTS s"), ":1");
}

/// Fails if `Out` takes whatever it is given.
#[test]
fn a_reply_that_is_too_long_ends_the_connection() {
    let served = Served::start(ServerOptions::new().max_reply_bytes(100_000));
    let (mut client, mut other) = (served.client(), served.client());
    for _ in 0..40 {
        client.send_words(&[b"XADD", b"s", b"*", b"f", &[b'x'; 5000]]);
        client.reply().unwrap();
    }
    assert_eq!(client.ask("XRANGE s - + COUNT 2").len(), other.ask("XRANGE s - + COUNT 2").len());
    client.send("XRANGE s - +");
    assert_eq!(client.reply(), None);
    assert_eq!(other.info("client_output_buffer_limit_disconnections"), "1");
    // Also where it is made of many.
    other.ask("MULTI");
    for _ in 0..10 {
        other.ask("XRANGE s - + COUNT 5");
    }
    other.send("EXEC");
    assert_eq!(other.reply(), None);
    assert_eq!(served.client().ask("XLEN s"), ":40");
}

/// Fails if what is set is only remembered, or holds where nothing is set.
#[test]
fn the_longest_reply_is_set_as_in_redis() {
    let served = Served::start(ServerOptions::new().max_reply_bytes(100_000));
    let mut first = served.client();
    let name = b"client-output-buffer-limit";
    let mut set = |limit: &str| {
        first.send_words(&[b"CONFIG", b"SET", name, limit.as_bytes()]);
        first.reply().unwrap()
    };
    let reply = |bytes: usize| {
        let mut client = served.client();
        client.send_words(&[b"ECHO", &vec![b'x'; bytes]]);
        client.reply().map(|reply| reply.len())
    };
    assert_eq!((reply(90_000), reply(110_000)), (Some(90_000), None));
    assert_eq!(set("normal 50000 0 0 pubsub 1 1 1"), "+OK");
    assert_eq!((reply(40_000), reply(60_000)), (Some(40_000), None));
    assert_eq!(set("normal 200000 0 0"), "+OK");
    assert_eq!((reply(190_000), reply(210_000)), (Some(190_000), None));
    assert_eq!(set("normal 0 0 0"), "+OK");
    assert_eq!((reply(90_000), reply(110_000)), (Some(90_000), None));
    assert_eq!(
        set("nobody 0 0 0"),
        "-ERR CONFIG SET failed (possibly related to argument 'client-output-buffer-limit') - \
         Invalid client class specified in buffer limit configuration."
    );
    assert_eq!(
        first.ask("CONFIG GET client-output-buffer-limit"),
        "*[client-output-buffer-limit \
         normal 0 0 0 slave 268435456 67108864 60 pubsub 1 1 1]"
    );
}

#[test]
fn who_is_idle_is_sent_away() {
    let options = ServerOptions::new().idle_timeout(std::time::Duration::from_secs(1));
    let served = Served::start(options);
    let (mut idle, mut waiting) = (served.client(), served.client());
    assert_eq!(idle.ask("PING"), "+PONG");
    waiting.send("XREAD BLOCK 0 STREAMS s $");
    assert_eq!(idle.reply(), None);
    // One that waits is not idle.
    assert_ne!(served.client().ask("XADD s 1-1 f v"), "");
    assert_eq!(waiting.reply().unwrap(), "*[*[s *[*[1-1 *[f v]]]]]");
}
