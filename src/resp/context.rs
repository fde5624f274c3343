//! What a command has to work with, and what it answers.
//!
//! One thread runs all commands, one after another, so a handler has everything for itself. It must
//! not wait for anything: a call that has to wait says so with [`Done::Blocked`].

use super::config::Config;
use super::keys;
use super::keyspace::Keyspace;
use super::out::Out;
use super::refusal::Refusal;
use crate::id::EntryId;
use crate::planted;
use crate::store::Store;
use crate::stream::Stream;
use std::cell::Cell;
use std::time::{Instant, SystemTime};

/// A command. `args[0]` is its name, as the client wrote it; the table has checked the arity. On
/// `Err` all that it wrote is taken back, and the error is the reply.
pub(crate) type Handler = fn(&mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer;

pub(crate) type Answer = Result<Done, Refusal>;

/// How a command ended that was not refused.
pub(crate) enum Done {
    /// Its reply is written.
    Replied,
    /// It has written nothing and waits. Only where [`Context::may_block`].
    Blocked(Wait),
}

/// Tries a blocked command again. `Blocked` puts it at the end of the queues of its keys, with the
/// end of its wait as it was: of the new [`Wait`] only `again_at` counts.
pub(crate) type Retry = Box<dyn FnMut(&mut Context<'_>, &mut Out) -> Answer + Send>;

/// A blocked command.
pub(crate) struct Wait {
    /// The keys that it waits for, as the client named them, some perhaps twice; in its database.
    pub(crate) keys: Vec<Vec<u8>>,
    /// When it ends with a null array; `None` for never.
    pub(crate) until: Option<Instant>,
    /// When it is to be tried again though nothing has happened to its keys (CLAIM).
    pub(crate) again_at: Option<Instant>,
    /// It is also to be tried again when a key goes (XREADGROUP, and not XREAD).
    pub(crate) on_no_key: bool,
    pub(crate) retry: Retry,
}

/// What the server lets a command see and change.
pub(crate) struct Context<'a> {
    pub(crate) store: &'a Store,
    /// The client's database.
    pub(crate) db: usize,
    /// The settings of CONFIG SET.
    pub(crate) config: &'a mut Config,
    /// False within MULTI: there a call that finds nothing answers as if its time were over.
    pub(crate) may_block: bool,
    pub(super) space: &'a mut Keyspace,
    clock: &'a Clock,
}

/// The time of a command, taken when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Clock(Cell<Option<u64>>);

impl Clock {
    /// Another command begins.
    pub(crate) fn reset(&self) {
        self.0.set(None);
    }

    pub(crate) fn now_ms(&self) -> u64 {
        let now = self.0.get().unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
        });
        self.0.set(Some(now));
        now
    }
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        store: &'a Store,
        config: &'a mut Config,
        space: &'a mut Keyspace,
        db: usize,
        may_block: bool,
        clock: &'a Clock,
    ) -> Context<'a> {
        Context { store, db, config, may_block, space, clock }
    }

    /// The time, in milliseconds since 1970: the same for a whole command, and within EXEC for all.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The stream of this key, if there is one.
    pub(crate) fn stream(&mut self, key: &[u8]) -> Result<Option<Stream>, Refusal> {
        let name = keys::name(self.db, key)?;
        self.space.note_read(&name);
        if self.expire(&name).is_err() {
            return Ok(None);
        }
        Ok(self.store.get(&name)?)
    }

    /// Has `change` change the stream of this key, which is made with the settings of now if there
    /// is none. The settings hold for what is appended to one that is there, too. Where the change
    /// fails there is no stream afterwards that was not there before.
    pub(crate) fn change_or_create<T>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Self, &Stream) -> crate::Result<T>,
    ) -> Result<T, Refusal> {
        let (stream, made) = self.stream_or_create(key)?;
        let changed = change(self, &stream);
        if changed.is_err() && made {
            self.take_back(key, &stream);
        }
        Ok(changed?)
    }

    /// Removes a stream that was made for nothing. Should that fail too, it is what made the
    /// change fail, and that is what the client is told.
    fn take_back(&mut self, key: &[u8], stream: &Stream) {
        // The application may have found it meanwhile, and have put something into it.
        let is_bare = stream.info().is_ok_and(|info| {
            info.last_id == EntryId::MIN && info.entries_added == 0 && info.groups == 0
        });
        if is_bare
            && let Ok(name) = keys::name(self.db, key)
            && self.store.remove(&name).is_ok()
        {
            self.space.gone(&name);
        }
    }

    /// The stream of this key, if there is one, with the settings of now.
    pub(crate) fn stream_to_change(&mut self, key: &[u8]) -> Result<Option<Stream>, Refusal> {
        let name = keys::name(self.db, key)?;
        self.space.note_read(&name);
        self.expire(&name)?;
        let Some(stream) = self.store.get(&name)? else { return Ok(None) };
        if self.config.has_own_nodes() && self.space.takes_nodes(&name) {
            stream.set_options(&self.config.laid_out(stream.options()?))?;
        }
        Ok(Some(stream))
    }

    /// Tells besides whether it is new.
    fn stream_or_create(&mut self, key: &[u8]) -> Result<(Stream, bool), Refusal> {
        if let Some(stream) = self.stream_to_change(key)? {
            return Ok((stream, false));
        }
        let name = keys::name(self.db, key)?;
        let defaults = self.store.shared().options.stream.clone();
        let made = self.store.stream_with(&name, self.config.laid_out(defaults))?;
        self.space.takes_nodes(&name);
        Ok((made, true))
    }

    /// The command has changed `key`: adds `n` to the changes since the last save, breaks the
    /// transactions that watch it, has the reply wait for the disk where that is wanted, and has
    /// the clients that are blocked on the key looked at once the command is done (after EXEC:
    /// once all of it is).
    pub(crate) fn changed(&mut self, key: &[u8], n: u64) {
        // A key whose name is refused cannot have been changed.
        if let Ok(name) = keys::name(self.db, key) {
            self.space.changed(&name, n);
            self.space.signal(&name);
        }
    }

    /// The same without a look at blocked clients, for changes that give them nothing: entries that
    /// go.
    pub(crate) fn changed_quietly(&mut self, key: &[u8], n: u64) {
        if let Ok(name) = keys::name(self.db, key) {
            self.space.changed(&name, n);
        }
    }

    /// The command has changed the groups of `key`: as [`Context::changed_quietly`], but that a
    /// transaction which watches the key is not broken, as in Redis.
    pub(crate) fn group_changed(&mut self, key: &[u8], n: u64) {
        if let Ok(name) = keys::name(self.db, key)
            && !planted::early_books()
        {
            self.space.kept_books(&name, n);
        }
    }

    /// The clients that are blocked on `key` are to be looked at.
    pub(crate) fn ready(&mut self, key: &[u8]) {
        if let Ok(name) = keys::name(self.db, key) {
            self.space.signal(&name);
        }
    }
}
