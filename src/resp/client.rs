//! What the server knows of each connection, beside its socket.

use super::out::Out;
use crate::planted;
use crate::stream::Stamp;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// A connection, as commands see it.
#[derive(Debug)]
pub(crate) struct Client {
    /// Never used again.
    pub(crate) id: u64,
    pub(crate) address: String,
    pub(crate) local: String,
    pub(crate) name: Vec<u8>,
    pub(crate) lib_name: Vec<u8>,
    pub(crate) lib_ver: Vec<u8>,
    pub(crate) db: usize,
    /// Has given the password, or there was none.
    pub(crate) trusted: bool,
    pub(crate) multi: Option<Multi>,
    /// Names that it watches, and what was there when it began; `None` for no stream.
    pub(crate) watching: BTreeMap<Vec<u8>, Option<Stamp>>,
    /// Something that it watches was changed.
    pub(crate) broken: bool,
    pub(crate) reply: Reply,
    pub(crate) out: Out,
    /// From which byte on its replies wait for which sync, in order.
    pub(crate) held: VecDeque<(u64, u64)>,
    pub(crate) blocked: bool,
    /// Nothing more is read from it; it ends when its replies are sent.
    pub(crate) closing: bool,
    /// It ends at once.
    pub(crate) dead: bool,
    pub(crate) since: Instant,
    pub(crate) last: Instant,
    /// The place in the table of its last command.
    pub(crate) last_line: usize,
    pub(crate) no_evict: bool,
    pub(crate) no_touch: bool,
    /// It stands in the list of those that have something to be sent.
    pub(crate) listed: bool,
}

/// Commands that wait for EXEC.
#[derive(Debug, Default)]
pub(crate) struct Multi {
    pub(crate) queue: Vec<Queued>,
    /// The bytes of all words.
    pub(crate) bytes: usize,
    /// One was refused, so none is run.
    pub(crate) aborted: bool,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Queued {
    /// Its place in the table.
    pub(crate) line: usize,
    pub(crate) words: Vec<Vec<u8>>,
}

/// CLIENT REPLY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    On,
    Off,
    /// Not to this command, but to the next one.
    SkipNext,
    /// Not to this command.
    Skip,
}

impl Client {
    pub(crate) fn new(id: u64, address: String, local: String, out: Out) -> Client {
        let now = Instant::now();
        Client {
            id,
            address,
            local,
            name: Vec::new(),
            lib_name: Vec::new(),
            lib_ver: Vec::new(),
            db: 0,
            trusted: false,
            multi: None,
            watching: BTreeMap::new(),
            broken: false,
            reply: Reply::On,
            out,
            held: VecDeque::new(),
            blocked: false,
            closing: false,
            dead: false,
            since: now,
            last: now,
            last_line: usize::MAX,
            no_evict: false,
            no_touch: false,
            listed: false,
        }
    }

    /// How many bytes may be sent when the syncs up to this one are done.
    pub(crate) fn may_send(&mut self, synced: u64) -> usize {
        while self.held.front().is_some_and(|(_, sync)| *sync <= synced) {
            self.held.pop_front();
        }
        match self.held.front() {
            None => self.out.len(),
            Some(_) if planted::early_reply() => self.out.len(),
            Some((from, _)) => usize::try_from(from - self.out.first()).unwrap_or(0),
        }
    }

    /// What is written from `from` on waits for a sync.
    pub(crate) fn hold(&mut self, from: u64, sync: u64) {
        if self.held.back().is_none_or(|(_, last)| *last < sync) {
            self.held.push_back((from, sync));
        }
    }
}

/// All of them, each at its place.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    places: Vec<Option<Box<Client>>>,
    free: Vec<usize>,
    last_id: u64,
}

impl Clients {
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn add(&mut self, client: Client) -> usize {
        let client = Some(Box::new(client));
        match self.free.pop() {
            Some(place) => {
                self.places[place] = client;
                place
            }
            None => {
                self.places.push(client);
                self.places.len() - 1
            }
        }
    }

    pub(crate) fn remove(&mut self, place: usize) -> Option<Box<Client>> {
        let client = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        Some(client)
    }

    pub(crate) fn get(&self, place: usize) -> Option<&Client> {
        self.places.get(place)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut Client> {
        self.places.get_mut(place)?.as_deref_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Client)> {
        let there =
            |(place, client): (usize, &'_ Option<Box<Client>>)| client.is_some().then_some(place);
        self.places
            .iter()
            .enumerate()
            .filter_map(there)
            .filter_map(|place| Some((place, self.get(place)?)))
    }

    /// The place of the client with this ID.
    pub(crate) fn find(&self, id: u64) -> Option<usize> {
        self.iter().find(|(_, client)| client.id == id).map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_wait_for_their_sync_and_those_behind_them_too() {
        let out = Out::new(1 << 20);
        let mut client = Client::new(1, String::new(), String::new(), out);
        client.out.ok();
        let from = client.out.end();
        client.out.ok();
        client.hold(from, 3);
        client.out.ok();
        client.hold(client.out.end(), 2);
        assert_eq!(client.may_send(2), 5);
        client.out.sent(5);
        assert_eq!(client.may_send(2), 0);
        assert_eq!(client.may_send(3), 10);
    }
}
