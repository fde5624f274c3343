//! One of the two servers, with its connections.

use crate::client::{Client, encode};
use crate::generate::Script;
use crate::reply::Reply;
use crate::server::Server;
use std::time::{Duration, Instant};

/// How many connections there are. The odd ones speak RESP3.
pub(crate) const CLIENTS: usize = 5;

pub(crate) type Words = Vec<Vec<u8>>;

pub(crate) struct Side {
    clients: Vec<Client>,
    ids: Vec<i64>,
    control: Client,
}

/// Longer than anything that is no failure.
const PATIENCE: Duration = Duration::from_secs(5);

impl Side {
    pub(crate) fn new(server: &Server) -> Side {
        let control = server.client().unwrap();
        let mut side = Side { clients: Vec::new(), ids: Vec::new(), control };
        // Connections of before may still be about to end.
        let patience = Instant::now() + PATIENCE;
        while side.blocked() > 0 && Instant::now() < patience {}
        for n in 0..CLIENTS {
            let mut client = server.client().unwrap();
            if n % 2 == 1 {
                client.hello3().unwrap();
            }
            side.ids.push(client.int("CLIENT ID").unwrap());
            side.clients.push(client);
        }
        side
    }

    pub(crate) fn send(&mut self, client: usize, words: &Words) {
        self.clients[client].send_words(words).unwrap();
    }

    pub(crate) fn send_all(&mut self, client: usize, all: &[Words]) {
        let bytes: Vec<u8> = all.iter().flat_map(|words| encode(words)).collect();
        self.clients[client].send_bytes(&bytes).unwrap();
    }

    pub(crate) fn read(&mut self, client: usize) -> Result<Reply, String> {
        self.clients[client].read()
    }

    /// Whether a reply has begun to arrive.
    pub(crate) fn has_reply(&mut self, client: usize) -> bool {
        self.clients[client].stays_silent(Duration::from_millis(1)).is_err()
    }

    /// A command beside those that are compared.
    pub(crate) fn control(&mut self, words: &[&[u8]]) -> Reply {
        self.control.send_words(words).unwrap();
        self.control.read().unwrap()
    }

    /// How many connections wait.
    pub(crate) fn blocked(&mut self) -> usize {
        let info = self.control(&[b"INFO", b"clients"]).text().unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("blocked_clients:"));
        line.expect("the number of blocked clients").trim().parse().unwrap()
    }

    pub(crate) fn unblock(&mut self, client: usize, with_error: bool) -> Reply {
        let id = self.ids[client].to_string();
        let how: &[u8] = if with_error { b"ERROR" } else { b"TIMEOUT" };
        self.control(&[b"CLIENT", b"UNBLOCK", id.as_bytes(), how])
    }

    /// Empties the databases, and sets what the script wants.
    pub(crate) fn clear(&mut self, script: &Script) {
        let entries = script.node_entries.to_string();
        let fsync: &[u8] = if script.strict { b"always" } else { b"everysec" };
        self.control(&[b"FLUSHALL"]);
        for (name, value) in
            [(&b"stream-node-max-entries"[..], entries.as_bytes()), (b"appendfsync", fsync)]
        {
            let set = self.control(&[b"CONFIG", b"SET", name, value]);
            assert_eq!(set.to_string(), "+OK");
        }
        for client in self.clients.iter_mut().chain([&mut self.control]) {
            client.ok(format!("SELECT {}", script.database)).unwrap();
        }
    }
}
