//! The second half of a round: the disk, then the replies.

use super::{BACKLOG, Turns};
use crate::error::Result;
use mio::Token;
use std::io;

/// How much is sent to one client before the others are looked at.
const AT_ONCE: usize = 1 << 20;

impl Turns {
    /// Notes the sync that has ended, and begins the next if there is something to sync.
    pub(super) fn sync(&mut self) {
        if let Some((number, synced)) = self.syncer.ended() {
            self.synced(number, synced);
        }
        if !self.syncer.is_busy()
            && let Some((number, names)) = self.engine.space.begin_sync()
        {
            self.engine.stats.syncs += 1;
            let store = &self.engine.store;
            if !self.syncer.is_quick() {
                return self.syncer.begin(number, &names, store.clone());
            }
            let synced = self.syncer.at_once(&names, store);
            self.synced(number, synced);
        }
    }

    pub(super) fn synced(&mut self, number: u64, synced: Result<()>) {
        let failed = synced.is_err() && number > self.engine.space.synced();
        for place in std::mem::take(&mut self.held) {
            if let Some(client) = self.engine.clients.get_mut(place)
                && failed
                && client.held.iter().any(|(_, sync)| *sync <= number)
            {
                // What it wrote may be lost, or not: no reply is the honest one.
                client.dead = true;
            }
            self.engine.list(place);
        }
        self.engine.space.end_sync(number);
    }

    /// Sends what may be sent.
    pub(super) fn send(&mut self) {
        for place in std::mem::take(&mut self.engine.to_send) {
            if !self.send_to(place) {
                self.close(place);
            }
        }
    }

    /// `false` if the connection is at its end.
    fn send_to(&mut self, place: usize) -> bool {
        let synced = self.engine.space.synced();
        let Some(client) = self.engine.clients.get_mut(place) else { return true };
        let Some(Some(conn)) = self.conns.get_mut(place) else { return true };
        client.listed = false;
        if client.dead {
            return false;
        }
        let may = client.may_send(synced);
        let held = may < client.out.len();
        let mut left = may.min(AT_ONCE);
        let mut full = false;
        while left > 0 {
            match conn.socket.write(&client.out.bytes()[..left]) {
                Ok(count) => {
                    client.out.sent(count);
                    self.engine.stats.net_out += count as u64;
                    left -= count.min(left);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // The socket tells when it has room again.
                    full = true;
                    break;
                }
                Err(_) => return false,
            }
        }
        if client.closing && client.out.len() == 0 {
            return false;
        }
        if conn.stuck != full {
            conn.stuck = full;
            if conn.socket.tell_of_room(self.poll.registry(), Token(place), full).is_err() {
                return false;
            }
        }
        let (rest, runs) = (client.out.len(), client.out.len() <= BACKLOG && !client.blocked);
        if held {
            self.held.push(place);
        } else if rest > 0 && !full {
            self.engine.list(place);
        }
        if runs {
            self.enqueue(place);
        }
        true
    }

    /// The last round: what was run is on disk, and as much of the replies is sent as goes.
    pub(super) fn end(mut self) -> Result<()> {
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.leave();
        }
        if let Some((number, synced)) = self.syncer.wait() {
            self.synced(number, synced);
        }
        // Those who wait for the next one, too, are put back.
        self.send();
        if let Some((number, names)) = self.engine.space.begin_sync() {
            let streams = self.engine.store.found(&names);
            let synced = self.engine.store.sync_found(streams);
            self.synced(number, synced);
        }
        self.send();
        match self.engine.home {
            Some(_) => self.engine.store.clone().close(),
            None => Ok(()),
        }
    }
}
