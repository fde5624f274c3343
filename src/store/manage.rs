//! The streams of a store as things with names: created, found, listed, renamed, copied, removed.

use super::{Health, RecoveryReport, Shared, Store, StoreOptions};
use crate::error::{Error, ErrorKind, Result, check_name};
use crate::format::event::Event;
use crate::format::name;
use crate::options::{Durability, IdempotencyWindow, StreamOptions};
use crate::state::StreamState;
use crate::storage::disk::{Disk, NameKind};
use crate::stream::{Stream, StreamInner};
use std::path::Path;
use std::sync::Arc;

/// Removes a stream's directory, as far as that is possible now; the next open does the rest.
pub(super) fn remove_dir(disk: &dyn Disk, dir: &Path) {
    let mut marked = false;
    for (file, kind) in disk.read_dir(dir).unwrap_or_default() {
        let is_mark = file == name::COPYING;
        marked |= is_mark;
        if kind == NameKind::File && !is_mark {
            drop(disk.remove_file(&dir.join(file)));
        }
    }
    // What says that the rest is no stream goes last, and not before that is gone for sure.
    if marked && disk.sync_dir(dir).is_ok() {
        drop(disk.remove_file(&dir.join(name::COPYING)));
    }
    drop(disk.remove_dir(dir));
}

impl Store {
    /// Opens the store in a directory with default options; see
    /// [`StoreOptions::open`](crate::StoreOptions::open).
    ///
    /// # Errors
    /// As there.
    pub fn open(dir: impl AsRef<Path>) -> Result<Store> {
        Store::options().open(dir)
    }

    /// Opens a store for reading only; see
    /// [`StoreOptions::open_read_only`](crate::StoreOptions::open_read_only).
    ///
    /// # Errors
    /// As there.
    pub fn open_read_only(dir: impl AsRef<Path>) -> Result<Store> {
        Store::options().open_read_only(dir)
    }

    /// Opens what is left of a damaged store, for reading only; see
    /// [`StoreOptions::open_salvage`](crate::StoreOptions::open_salvage).
    ///
    /// # Errors
    /// As there.
    pub fn open_salvage(dir: impl AsRef<Path>) -> Result<Store> {
        Store::options().open_salvage(dir)
    }

    /// Options to open a store with.
    #[must_use]
    pub fn options() -> StoreOptions {
        StoreOptions::default()
    }

    /// A store on the heap, with the same behaviour but that nothing survives.
    ///
    /// # Errors
    /// None that a caller could do anything about.
    pub fn in_memory() -> Result<Store> {
        Store::options().open_in_memory()
    }

    /// Opens without background threads; whoever calls this drives them.
    #[allow(dead_code, reason = "the simulators of the tests use it")]
    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: &StoreOptions,
    ) -> Result<Store> {
        options.start(disk, dir, false)
    }

    /// What the sync thread does in one pass.
    #[allow(dead_code, reason = "the simulators of the tests use it")]
    pub(crate) fn step_sync(&self) -> Result<()> {
        self.shared().flush()
    }

    /// What the preparing threads do in one pass.
    #[allow(dead_code, reason = "the simulators of the tests use it")]
    pub(crate) fn step_prepare(&self) -> Result<()> {
        let shared = self.shared();
        let (enforced, _) = shared.enforce_retention();
        enforced.and(shared.prepare())?;
        let make_all = |stream: Arc<StreamInner>| {
            while stream.make_segment(shared)? {}
            Ok(())
        };
        shared.all_streams().into_iter().try_for_each(make_all)
    }

    /// Writes a checkpoint now.
    #[allow(dead_code, reason = "the simulators of the tests use it")]
    pub(crate) fn step_checkpoint(&self) -> Result<()> {
        self.shared().checkpoint()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    fn handle_of(&self, inner: Arc<StreamInner>) -> Stream {
        Stream::new(Arc::clone(&self.handle), inner)
    }

    /// The stream of this name, made if there is none, as XADD does.
    ///
    /// # Errors
    /// `InvalidName`, `Closed`, `StorageFull`, `Poisoned`; what recovering the stream may give.
    #[doc(alias = "XADD")]
    #[doc(alias = "MKSTREAM")]
    pub fn stream(&self, name: impl AsRef<[u8]>) -> Result<Stream> {
        let options = &self.shared().options.stream;
        self.open_or_make(name.as_ref(), options, None, self.default_level())
    }

    /// The stream of this name; the options are for a new one. An existing one keeps those that are
    /// stored with it, which [`Stream::options`] tells and [`Stream::set_options`] changes. Only
    /// the durability in them holds for an existing one too, and until the store is closed: of all
    /// that are asked for, the strongest.
    ///
    /// # Errors
    /// As [`Store::stream`], and `InvalidConfig`.
    #[doc(alias = "XADD")]
    #[doc(alias = "MKSTREAM")]
    pub fn stream_with(&self, name: impl AsRef<[u8]>, options: StreamOptions) -> Result<Stream> {
        options.check()?;
        let default = self.shared().options.durability;
        self.open_or_make(name.as_ref(), &options, options.durability, default)
    }

    fn open_or_make(
        &self,
        name: &[u8],
        options: &StreamOptions,
        asked: Option<Durability>,
        default: Durability,
    ) -> Result<Stream> {
        check_name("stream", name)?;
        let shared = self.shared();
        shared.check_open()?;
        loop {
            let there = self.find(name);
            let Some(inner) =
                there.map_or_else(|| shared.create(name, options), |i| Ok(Some(i)))?
            else {
                continue;
            };
            match inner.hand_out(shared, asked, default) {
                // It was removed meanwhile, and can be made anew.
                Err(_) if inner.is_gone() => {}
                handed => return handed.map(|()| self.handle_of(inner)),
            }
        }
    }

    /// The level of streams of which nobody has said another.
    fn default_level(&self) -> Durability {
        let options = &self.shared().options;
        options.stream.durability.unwrap_or(options.durability)
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<Arc<StreamInner>> {
        let names = self.shared().names.read();
        let number = names.by_name.get(name)?;
        names.streams.get(number).cloned()
    }

    /// The stream of this name, if there is one (NOMKSTREAM).
    ///
    /// # Errors
    /// `Closed`; what recovering the stream may give.
    #[doc(alias = "NOMKSTREAM")]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Result<Option<Stream>> {
        let shared = self.shared();
        shared.check_open()?;
        while let Some(inner) = self.find(name.as_ref()) {
            match inner.hand_out(shared, None, self.default_level()) {
                // It was removed meanwhile.
                Err(_) if inner.is_gone() => {}
                handed => return handed.map(|()| Some(self.handle_of(inner))),
            }
        }
        Ok(None)
    }

    /// Whether there is a stream of this name (EXISTS). In a forked child: no.
    #[must_use]
    #[doc(alias = "EXISTS")]
    pub fn exists(&self, name: impl AsRef<[u8]>) -> bool {
        self.own().is_some_and(|own| own.names.read().by_name.contains_key(name.as_ref()))
    }

    /// The names of all streams, in byte order. In a forked child there are none.
    #[must_use]
    #[doc(alias = "SCAN")]
    pub fn names(&self) -> Vec<Vec<u8>> {
        let names = |own: &Shared| own.names.read().by_name.keys().cloned().collect();
        self.own().map(names).unwrap_or_default()
    }

    /// For calls that have no error to give: nothing in a forked child, where a lock may be held
    /// for ever by a thread that is not there.
    fn own(&self) -> Option<&Shared> {
        let shared = self.shared();
        shared.check_process().is_ok().then_some(&**shared)
    }

    /// Removes a stream with all that belongs to it. `false` if there is none. Handles of it
    /// answer `NoStream` from then on; whoever waits on it is woken.
    ///
    /// # Errors
    /// `Closed`, `Poisoned`.
    #[doc(alias = "DEL")]
    pub fn remove(&self, name: impl AsRef<[u8]>) -> Result<bool> {
        let shared = self.shared();
        shared.check_open()?;
        let Some(inner) = self.find(name.as_ref()) else {
            return Ok(false);
        };
        let removed = shared.change_names(None, |names| {
            if names.by_name.get(name.as_ref()) != Some(&inner.number) {
                return None;
            }
            Some(vec![(inner.number, vec![Event::StreamRemoved])])
        })?;
        let Some(position) = removed else {
            return Ok(false);
        };
        let finished = shared.finish_names(position, Some(&inner));
        if finished.is_err() {
            // It is in the table no more, where others would find those who wait.
            inner.waiters.wake_all();
        }
        finished?;
        shared.discard(&inner);
        Ok(true)
    }

    /// Gives a stream another name; a stream that has that name already is removed. Handles go on
    /// working.
    ///
    /// # Errors
    /// `NoStream` if there is no stream `from`, `InvalidName`, `Closed`, `StorageFull`.
    #[doc(alias = "RENAME")]
    pub fn rename(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<()> {
        let (from, to) = (from.as_ref(), to.as_ref());
        check_name("stream", to)?;
        let shared = self.shared();
        shared.check_open()?;
        let mut replaced = None;
        let position = shared.change_names(None, |names| {
            let number = *names.by_name.get(from)?;
            let mut parts = Vec::new();
            replaced = names.by_name.get(to).copied().filter(|other| *other != number);
            if let Some(other) = replaced {
                parts.push((other, vec![Event::StreamRemoved]));
            }
            parts.push((number, vec![Event::StreamRenamed { name: to.into() }]));
            Some(parts)
        })?;
        let Some(position) = position else {
            return Err(Error::new(ErrorKind::NoStream { name: from.to_vec() }));
        };
        shared.finish_names(position, self.find(to).as_deref())?;
        if let Some(inner) = replaced.and_then(|number| shared.take_gone(number)) {
            shared.discard(&inner);
        }
        self.tell_name(to);
        Ok(())
    }

    /// Gives many streams other names in one change, which a crash leaves done or not begun: to
    /// each stream the name that `to` has for its own. No two may come to have the same one.
    #[cfg_attr(not(feature = "resp"), allow(dead_code, reason = "for the server"))]
    pub(crate) fn rename_all(&self, to: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Result<()> {
        let shared = self.shared();
        shared.check_open()?;
        let mut checked = Ok(());
        let mut given = Vec::new();
        let position = shared.change_names(None, |names| {
            let each = |(name, number): (&Vec<u8>, &u64)| Some((*number, to(name)?));
            let renamed: Vec<(u64, Vec<u8>)> = names.by_name.iter().filter_map(each).collect();
            checked = renamed.iter().try_for_each(|(_, name)| check_name("stream", name));
            let any = checked.is_ok() && !renamed.is_empty();
            given = renamed.iter().map(|(_, name)| name.clone()).collect();
            let part = |(number, name): (u64, Vec<u8>)| {
                (number, vec![Event::StreamRenamed { name: name.as_slice().into() }])
            };
            any.then(|| renamed.into_iter().map(part).collect())
        })?;
        checked?;
        if let Some(position) = position {
            shared.finish_names(position, None)?;
            given.iter().for_each(|name| self.tell_name(name));
        }
        Ok(())
    }

    /// Tells a stream which name it has been given, and those who wait for it.
    fn tell_name(&self, name: &[u8]) {
        if let Some(inner) = self.find(name) {
            // Segments begun from now on tell the new name.
            if let Some(Ok(mut appender)) = inner.open_log().map(|log| log.writer()) {
                appender.set_name(name);
            }
            inner.waiters.wake_all();
        }
    }

    /// Copies a stream with its groups under another name. The copy is on disk when this returns.
    /// `false` if there is no stream `from`, or a stream `to` that is not to be replaced.
    ///
    /// # Errors
    /// `InvalidName`, `InvalidArgument` if the names are the same, `Closed`, `StorageFull`,
    /// `Corrupt`. After `Poisoned` the next open tells whether there is a copy; until then it shows
    /// and can be read.
    #[doc(alias = "COPY")]
    pub fn copy(
        &self,
        from: impl AsRef<[u8]>,
        to: impl AsRef<[u8]>,
        replace: bool,
    ) -> Result<bool> {
        let (from, to) = (from.as_ref(), to.as_ref());
        check_name("stream", to)?;
        let shared = self.shared();
        shared.check_open()?;
        shared.check_writable()?;
        if from == to {
            return Err(Error::new(ErrorKind::InvalidArgument {
                argument: "to",
                reason: "a stream cannot be copied to its own name",
            }));
        }
        let Some(source) = self.get(from)? else {
            return Ok(false);
        };
        if !replace && self.exists(to) {
            return Ok(false);
        }
        let number = shared.journal.take_stream_number();
        let dir = shared.streams_dir().join(name::stream_dir(number));
        let copied = source.inner().copy_to(shared, to, number);
        let events = copied.inspect_err(|_| remove_dir(&*shared.disk, &dir))?;
        let made = Arc::new(StreamInner::new(number, StreamState::default(), false));
        let mut replaced = None;
        let position = shared.change_names(Some(&made), |names| {
            replaced = names.by_name.get(to).copied();
            if replaced.is_some() && !replace {
                return None;
            }
            let mut parts = Vec::new();
            if let Some(other) = replaced {
                parts.push((other, vec![Event::StreamRemoved]));
            }
            parts.push((number, events.clone()));
            Some(parts)
        });
        let refused = position.as_ref().map_or_else(Error::is_full, Option::is_none);
        if refused {
            remove_dir(&*shared.disk, &dir);
        }
        let Some(position) = position? else {
            return Ok(false);
        };
        shared.sync_journal(position)?;
        // A mark that stays means nothing any more; the stream's first use tries again.
        drop(shared.disk.remove_file(&dir.join(name::COPYING)));
        if let Some(inner) = replaced.and_then(|number| shared.take_gone(number)) {
            shared.discard(&inner);
        }
        Ok(true)
    }

    /// What streams remember of idempotent producers that are created from now on
    /// (`stream-idmp-duration`, `stream-idmp-maxsize`). It is copied into each when that is made,
    /// and stored there; the default itself is not stored.
    ///
    /// # Errors
    /// `InvalidConfig`; `Closed`.
    #[doc(alias = "XCFGSET")]
    pub fn set_default_idempotency(&self, window: IdempotencyWindow) -> Result<()> {
        window.check()?;
        self.shared().check_open()?;
        *self.shared().window.lock() = window;
        Ok(())
    }

    /// The same as it is now. In a forked child the one that there is without any.
    #[must_use]
    pub fn default_idempotency(&self) -> IdempotencyWindow {
        self.own().map(|own| *own.window.lock()).unwrap_or_default()
    }

    /// Makes everything durable that was written before the call: the streams, then their groups.
    ///
    /// # Errors
    /// `Poisoned` if a sync failed, now or earlier.
    pub fn sync(&self) -> Result<()> {
        self.shared().check_open()?;
        self.shared().flush()
    }

    /// The streams that have these names now, to be made durable by [`Store::sync_found`] whatever
    /// they are called by then.
    #[cfg_attr(not(feature = "resp"), allow(dead_code, reason = "for the server"))]
    pub(crate) fn found(&self, names: &[Vec<u8>]) -> Vec<Arc<StreamInner>> {
        names.iter().filter_map(|name| self.find(name)).collect()
    }

    /// Like [`Store::sync`], for some streams only, and for what is known of groups and names. A
    /// stream that is there no more is passed over: its removal is made durable.
    #[cfg_attr(not(feature = "resp"), allow(dead_code, reason = "for the server"))]
    pub(crate) fn sync_found(&self, streams: Vec<Arc<StreamInner>>) -> Result<()> {
        let shared = self.shared();
        shared.check_open()?;
        let mut upto = shared.journal.written();
        if !crate::planted::found_unsynced() {
            shared.flush_dirty(streams.iter().cloned());
        }
        for inner in streams {
            // What failed has stopped its stream.
            inner.unless_gone(inner.check_sound(shared))?;
            if inner.is_gone() {
                upto = shared.journal.written();
            }
        }
        shared.sync_journal(upto)
    }

    /// How the store is doing. In a forked child it is closed, and that is all.
    #[must_use]
    pub fn health(&self) -> Health {
        let closed = || Health { closed: true, ..Health::default() };
        self.own().map_or_else(closed, Shared::health)
    }

    /// What recovery found and did, when the store was opened and for streams used since. Damage
    /// that reads have stepped over is in it, too. In a forked child it is empty.
    #[must_use]
    pub fn recovery(&self) -> RecoveryReport {
        let Some(own) = self.own() else {
            return RecoveryReport::default();
        };
        let mut report = own.report.lock().clone();
        report.journal.set_aside = own.journal.set_aside();
        for (n, gaps) in own.all_streams().iter().filter_map(|stream| stream.damage()) {
            if let Some(stream) = report.streams.get_mut(n) {
                stream.gaps = gaps;
            }
        }
        report
    }

    /// Recovers every stream now instead of on first use.
    ///
    /// # Errors
    /// The first that a stream gave; the others are recovered all the same.
    pub fn recover_all(&self) -> Result<()> {
        let shared = self.shared();
        shared.check_open()?;
        let mut first = Ok(());
        for inner in shared.all_streams() {
            first = first.and(inner.log_to_use(shared).map(drop));
        }
        first
    }

    /// Makes everything durable, writes the marks of a clean end and gives the directory free.
    /// Other handles answer `Closed` from then on; whoever waits is woken.
    ///
    /// # Errors
    /// What could not be made durable.
    pub fn close(self) -> Result<()> {
        self.handle.close()
    }
}
