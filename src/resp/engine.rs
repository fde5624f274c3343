//! Runs commands: everything of the server but its sockets.
//!
//! One thread owns an engine. Clients are named by their places in [`Clients`]; which of them have
//! something to be sent, and which may go on after a wait, the event loop finds in two lists.

use super::client::{Client, Clients, Queued, Reply};
use super::commands::table::{self, Command, Found, Run, Table};
use super::config::Config;
use super::context::{Answer, Clock, Context, Done};
use super::keyspace::Keyspace;
use super::out::Out;
use super::refusal::{Refusal, shown};
use super::stats::Stats;
use super::waits::Waits;
use crate::entry::NewEntries;
use crate::error::Result;
use crate::store::{Store, StoreOptions};
use std::path::PathBuf;
use std::time::Instant;

mod adds;
mod blocking;
pub(crate) use adds::{MOST, MOST_BYTES, is_plain_add};
pub(crate) use blocking::End;

/// See the module.
pub(crate) struct Engine {
    pub(crate) store: Store,
    /// Where the store is, if the server has opened it and nobody else has it.
    pub(crate) home: Option<(PathBuf, StoreOptions)>,
    pub(crate) config: Config,
    pub(crate) space: Keyspace,
    pub(crate) clients: Clients,
    pub(crate) waits: Waits,
    pub(crate) stats: Stats,
    pub(crate) clock: Clock,
    pub(crate) started: Instant,
    /// When the last command ended.
    pub(crate) now: Instant,
    pub(crate) last_save: u64,
    /// What entries that are appended together are put into.
    batch: NewEntries,
    /// Clients that have something to be sent, or are to end.
    pub(crate) to_send: Vec<usize>,
    /// Clients whose wait is over.
    pub(crate) resumed: Vec<usize>,
    /// The server is to end.
    pub(crate) ends: bool,
}

impl Engine {
    pub(crate) fn new(
        store: Store,
        home: Option<(PathBuf, StoreOptions)>,
        mut config: Config,
    ) -> Engine {
        config.set_window(store.default_idempotency());
        let now = Instant::now();
        let clock = Clock::default();
        let last_save = clock.now_ms() / 1000;
        let mut space = Keyspace::new();
        space.expiries.fill(store.expiries());
        Engine {
            store,
            home,
            config,
            space,
            clients: Clients::default(),
            waits: Waits::default(),
            stats: Stats::new(),
            clock,
            started: now,
            now,
            last_save,
            batch: NewEntries::new(),
            to_send: Vec::new(),
            resumed: Vec::new(),
            ends: false,
        }
    }

    /// A client comes. Its place.
    pub(crate) fn connect(&mut self, address: String, local: String) -> usize {
        self.stats.connections += 1;
        let id = self.clients.next_id();
        let out = Out::new(self.config.most_output());
        let mut client = Client::new(id, address, local, out);
        client.trusted = self.config.password.is_none();
        self.clients.add(client)
    }

    /// It goes.
    pub(crate) fn disconnect(&mut self, place: usize) {
        self.unwatch(place);
        self.forget_wait(place);
        self.clients.remove(place);
        self.to_send.retain(|other| *other != place);
        self.resumed.retain(|other| *other != place);
    }

    /// Runs what a client has sent, and what that sets going. Not while it is blocked.
    pub(crate) fn execute(&mut self, place: usize, args: &[&[u8]]) {
        let Some(client) = self.clients.get_mut(place) else { return };
        self.clock.reset();
        let mut out = std::mem::replace(&mut client.out, Out::new(0));
        client.last = self.now;
        if client.reply == Reply::SkipNext {
            client.reply = Reply::Skip;
        }
        let (mark, from) = (out.mark(), out.end());
        self.space.begin_reply();
        self.dispatch(place, args, &mut out);
        self.finish(place, out, mark, from);
        self.after_command();
    }

    /// What follows a reply: who waits for what, and whether it is sent at all.
    fn finish(&mut self, place: usize, mut out: Out, mark: super::out::Mark, from: u64) {
        let needs = self.space.needs();
        let Some(client) = self.clients.get_mut(place) else { return };
        match client.reply {
            Reply::On => {}
            Reply::Off | Reply::SkipNext => out.truncate(mark),
            Reply::Skip => {
                out.truncate(mark);
                client.reply = Reply::On;
            }
        }
        if out.is_over() {
            self.stats.output_limits += 1;
            client.dead = true;
        }
        client.out = out;
        if let Some(sync) = needs
            && client.out.end() > from
        {
            client.hold(from, sync);
        }
        if client.out.len() > 0 || client.dead || client.closing {
            self.list(place);
        }
    }

    /// The event loop has to look at what this client is to be sent.
    pub(crate) fn list(&mut self, place: usize) {
        if let Some(client) = self.clients.get_mut(place)
            && !std::mem::replace(&mut client.listed, true)
        {
            self.to_send.push(place);
        }
    }

    fn dispatch(&mut self, place: usize, args: &[&[u8]], out: &mut Out) {
        let table = Table::get();
        let line = match table.find(args) {
            Found::Line(line) => line,
            Found::Unknown => {
                if is_of_a_browser(args[0]) {
                    // Somebody was made to send it, who has a door open that others have not.
                    self.clients.get_mut(place).into_iter().for_each(|client| client.dead = true);
                }
                return self.reject(place, None, &unknown(args), out);
            }
            Found::UnknownPart => {
                return self.reject(
                    place,
                    None,
                    &Refusal::unknown_subcommand(args[0], args[1]),
                    out,
                );
            }
        };
        let command = table.lines[line].command;
        if !command.takes(args.len()) {
            let refusal = Refusal::arity(&table.lines[line].full_name);
            return self.reject(place, Some(line), &refusal, out);
        }
        let Some(client) = self.clients.get_mut(place) else { return };
        client.last_line = line;
        if !client.trusted && command.flags & table::NO_AUTH == 0 {
            return self.reject(place, Some(line), &Refusal::NO_AUTH, out);
        }
        if client.multi.is_some() && command.flags & table::NOT_QUEUED == 0 {
            return self.queue(place, line, command, args, out);
        }
        let may_block = client.multi.is_none();
        self.call(place, line, args, may_block, out);
    }

    /// A command that is not run: a transaction that it should have been part of is not, either.
    fn reject(&mut self, place: usize, line: Option<usize>, refusal: &Refusal, out: &mut Out) {
        self.stats.error(refusal.code());
        if let Some(calls) = line.and_then(|line| self.stats.of(line)) {
            calls.rejected += 1;
        }
        let Some(client) = self.clients.get_mut(place) else { return };
        let is_exec = line.is_some_and(|line| Table::get().lines[line].command.name == "exec");
        match &mut client.multi {
            // Also without a transaction.
            _ if is_exec => {
                client.multi = None;
                self.unwatch(place);
                let why = refusal.0.trim_start_matches("ERR ");
                out.error(&format!("EXECABORT Transaction discarded because of: {why}"));
            }
            Some(multi) => {
                multi.aborted = true;
                out.error(&refusal.0);
            }
            None => out.error(&refusal.0),
        }
    }

    fn queue(
        &mut self,
        place: usize,
        line: usize,
        command: &Command,
        args: &[&[u8]],
        out: &mut Out,
    ) {
        if command.flags & table::NO_MULTI != 0 {
            let refusal = Refusal::of("ERR Command not allowed inside a transaction");
            return self.reject(place, Some(line), &refusal, out);
        }
        let most = usize::try_from(self.config.query_buffer_limit).unwrap_or(usize::MAX);
        let multi = self.clients.get_mut(place).and_then(|client| client.multi.as_mut());
        let Some(multi) = multi else { return };
        multi.bytes += args.iter().map(|word| word.len() + size_of::<Vec<u8>>()).sum::<usize>();
        if multi.bytes > most {
            let refusal =
                Refusal::of("ERR the transaction is larger than client-query-buffer-limit");
            return self.reject(place, Some(line), &refusal, out);
        }
        if !multi.aborted {
            let words = args.iter().map(|word| word.to_vec()).collect();
            multi.queue.push(Queued { line, words });
        }
        out.simple("QUEUED");
    }

    /// Runs a command that everything allows. Whatever it does, it has replied or waits.
    pub(crate) fn call(
        &mut self,
        place: usize,
        line: usize,
        args: &[&[u8]],
        may_block: bool,
        out: &mut Out,
    ) {
        let begun = self.now;
        let mark = out.mark();
        let command = Table::get().lines[line].command;
        let answer = match command.run {
            Run::Data(handler) => {
                let db = self.clients.get(place).map_or(0, |client| client.db);
                handler(&mut self.context(db, may_block), args, out)
            }
            Run::Server(handler) => handler(self, place, args, out),
            Run::NotOurs => Err(Refusal::NOT_OURS),
        };
        self.count_time(line, begun, 1);
        match answer {
            Ok(Done::Blocked(wait)) if may_block => self.block(place, line, wait),
            answer => self.ended(line, answer, mark, out),
        }
    }

    /// So many commands were run, from `begun` until now.
    fn count_time(&mut self, line: usize, begun: Instant, commands: u64) {
        self.now = Instant::now();
        let time = self.now.saturating_duration_since(begun);
        self.stats.commands += commands;
        if let Some(calls) = self.stats.of(line) {
            calls.time += time;
        }
    }

    /// A command is done: counts it, and writes what it has not written itself.
    fn ended(&mut self, line: usize, answer: Answer, mark: super::out::Mark, out: &mut Out) {
        let failed = answer.is_err();
        match answer {
            Ok(Done::Replied) => {}
            // Nothing waits within a transaction.
            Ok(Done::Blocked(_)) => out.null_array(),
            Err(refusal) => {
                out.truncate(mark);
                out.error(&refusal.0);
                self.stats.error(refusal.code());
            }
        }
        if let Some(calls) = self.stats.of(line) {
            calls.calls += 1;
            calls.failed += u64::from(failed);
        }
    }

    pub(crate) fn context(&mut self, db: usize, may_block: bool) -> Context<'_> {
        let Engine { store, config, space, clock, .. } = self;
        Context::new(store, config, space, db, may_block, clock)
    }

    /// What is to be done between commands.
    pub(crate) fn after_command(&mut self) {
        self.note_broken();
        if self.space.has_ready() {
            self.serve_ready();
        }
    }

    /// Those whose transactions were broken are told by EXEC.
    pub(crate) fn note_broken(&mut self) {
        for client in self.space.take_broken() {
            if let Some(client) = self.clients.get_mut(client) {
                client.broken = true;
            }
        }
    }

    /// Ends what WATCH began.
    pub(crate) fn unwatch(&mut self, place: usize) {
        let Some(client) = self.clients.get_mut(place) else { return };
        client.broken = false;
        for name in std::mem::take(&mut client.watching).into_keys() {
            self.space.unwatch(&name, place);
        }
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopen(&mut self) -> Result<(), Refusal> {
        let Some((dir, options)) = self.home.clone() else {
            return Err(Refusal::of(
                "ERR the application has this store open, so the server cannot close it",
            ));
        };
        let closed = self.store.clone().close();
        if closed.is_ok() {
            // The close was a sync, of what a sync that goes on was begun for, too.
            self.space.end_all_syncs();
        }
        // What CONFIG SET has told the store holds on.
        let options = options.idempotency(self.config.window());
        let opened = closed.and_then(|()| options.open(&dir));
        match opened {
            Ok(store) => {
                self.store = store;
                self.space.forget_nodes();
                self.space.expiries.fill(self.store.expiries());
                Ok(())
            }
            Err(error) => {
                // There is nothing left to serve.
                self.ends = true;
                Err(error.into())
            }
        }
    }
}

/// Lines of HTTP, which a web page can have a browser send to a port of its machine.
fn is_of_a_browser(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// Redis's text for a command that there is not, with some of its words.
fn unknown(args: &[&[u8]]) -> Refusal {
    let name = args.first().map_or(&b""[..], |name| &name[..name.len().min(128)]);
    let mut words = String::new();
    for word in &args[1.min(args.len())..] {
        if words.len() >= 128 {
            break;
        }
        let word = &word[..word.len().min(128 - words.len())];
        words.push_str(&format!("'{}' ", shown(word)));
    }
    let name = shown(name);
    Refusal::new(format!("ERR unknown command '{name}', with args beginning with: {words}"))
}

#[cfg(test)]
mod tests;
