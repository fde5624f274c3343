//! Clients that do not speak the protocol: they hear Redis's words, and the others notice nothing.

use crate::client::{Client, Served};
use streamlog::resp::ServerOptions;

#[test]
fn what_is_no_request_ends_its_own_connection() {
    let served = Served::start(ServerOptions::new());
    let mut other = served.client();
    let cases = [
        ("*x\r\n", "invalid multibulk length"),
        ("*1000000000\r\n", "invalid multibulk length"),
        ("*1\r\n$-2\r\n", "invalid bulk length"),
        ("*1\r\n$9999999999\r\n", "invalid bulk length"),
        ("*1\r\n+PING\r\n", "expected '$', got '+'"),
        ("SET \"a\r\n", "unbalanced quotes in request"),
    ];
    for (bytes, error) in cases {
        let mut client = served.client();
        // What came before is answered, and what comes behind is not run.
        client.raw(format!("PING\r\n{bytes}XADD s * f v\r\n"));
        assert_eq!(client.until_end(), ["+PONG", &format!("-ERR Protocol error: {error}")]);
        assert_eq!(other.ask("XLEN s"), ":0");
    }
    assert_eq!(other.info("errorstat_ERR"), format!("count={}", cases.len()));
}

#[test]
fn a_line_without_an_end_has_one() {
    let served = Served::start(ServerOptions::new());
    for front in ["", "*", "*1\r\n$"] {
        let mut client = served.client();
        client.raw(front);
        client.raw([b'1'; (64 << 10) + 100]);
        let told = client.until_end();
        assert!(told[0].starts_with("-ERR Protocol error: too big"), "{told:?}");
    }
}

/// A web page must not be able to talk to the server through a browser.
#[test]
fn browsers_are_not_served() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    client.raw("POST / HTTP/1.1\r\nHost: localhost\r\n\r\nXADD s * f v\r\n");
    assert_eq!(client.reply(), None);
    assert_eq!(served.client().ask("XLEN s"), ":0");
}

/// Bytes from a fixed generator, some of them in the shape of requests.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let pieces: [&[u8]; 12] = [
        b"*3\r\n",
        b"$4\r\n",
        b"XADD",
        b"\r\n",
        b"*",
        b"$-1\r\n",
        b"\0",
        b"EXEC\r\n",
        b"'",
        b"MULTI\r\n",
        b"$1\r\ns\r\n",
        b"RESET\r\n",
    ];
    let mut bytes = Vec::new();
    for _ in 0..200 {
        let pick = next();
        match pick % 3 {
            0 => bytes.push((pick >> 8) as u8),
            _ => bytes.extend_from_slice(pieces[(pick >> 8) as usize % pieces.len()]),
        }
    }
    bytes
}

#[test]
fn noise_harms_nobody() {
    let served = Served::start(ServerOptions::new());
    let mut other = served.client();
    for seed in 1..150 {
        let mut client = served.client();
        // It may be thrown out while it sends.
        drop(std::io::Write::write_all(&mut client.socket, &noise(seed)));
        drop(client.socket.shutdown(std::net::Shutdown::Write));
        client.until_end_of_bytes();
        assert_eq!(other.ask("PING"), "+PONG");
    }
    other.until_info("connected_clients", "1");
}

impl Client {
    fn until_end_of_bytes(&mut self) {
        let mut rest = Vec::new();
        // Reset or closed: both are an end.
        drop(std::io::Read::read_to_end(&mut self.socket, &mut rest));
    }
}

#[test]
fn requests_come_in_whatever_pieces() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    client.socket.set_nodelay(true).unwrap();
    let request =
        b"*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$3\r\n7-1\r\n$1\r\nf\r\n$2\r\n\r\n\r\nXLEN s\r\n";
    for byte in request {
        client.raw([*byte]);
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    assert_eq!(client.reply().unwrap(), "7-1");
    assert_eq!(client.reply().unwrap(), ":1");
    assert_eq!(client.ask("XRANGE s - +"), "*[*[7-1 *[f \r\n]]]");
}

#[test]
fn who_ends_sending_gets_his_replies() {
    let served = Served::start(ServerOptions::new());
    let mut client = served.client();
    client.raw("PING a\r\nPING b\r\nQUIT\r\nPING c\r\n");
    client.ends_sending();
    assert_eq!(client.until_end(), ["a", "b", "+OK"]);
}
