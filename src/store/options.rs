//! How a store is opened: the settings, and the ways to do it.

use super::{Handle, Shared, Store};
use crate::error::Result;
use crate::options::{Durability, IdempotencyWindow, OnDamage, StreamOptions};
use crate::storage::disk::Disk;
use crate::storage::mem::MemDisk;
use crate::storage::overlay::Overlay;
use crate::storage::real::RealDisk;
use crate::worker::Worker;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;

/// The settings of a store.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    pub(crate) durability: Durability,
    pub(crate) on_damage: OnDamage,
    pub(crate) stream: StreamOptions,
    pub(crate) journal: crate::journal::Sizes,
    pub(crate) read_only: bool,
    pub(crate) salvage: bool,
    pub(crate) idempotency: IdempotencyWindow,
}

impl StoreOptions {
    /// The durability of streams that do not choose their own. The default is a sync every second.
    #[must_use]
    pub fn durability(mut self, level: Durability) -> StoreOptions {
        self.durability = level;
        self
    }

    /// What to do about damaged bytes. The default refuses.
    #[must_use]
    pub fn on_damage(mut self, what: OnDamage) -> StoreOptions {
        self.on_damage = what;
        self
    }

    /// The options of streams that are created without any of their own.
    #[must_use]
    pub fn stream_defaults(mut self, options: StreamOptions) -> StoreOptions {
        self.stream = options;
        self
    }

    /// What streams that are created remember of idempotent producers, until
    /// [`Store::set_default_idempotency`] says otherwise.
    #[must_use]
    pub fn idempotency(mut self, window: IdempotencyWindow) -> StoreOptions {
        self.idempotency = window;
        self
    }

    /// Opens the store in a directory, which is made if it is missing (its parent must exist).
    ///
    /// # Errors
    /// `Locked` if someone has it open, `NotALog` if the directory holds something else,
    /// `UnsupportedVersion`, `Corrupt`, `PermissionDenied`, `Open`, `InvalidConfig`.
    pub fn open(&self, dir: impl AsRef<Path>) -> Result<Store> {
        self.start(Arc::new(RealDisk::new()), dir.as_ref(), true)
    }

    /// Opens a store for reading only: nothing on disk is changed, not even what recovery would
    /// mend, so it works on a medium that cannot be written and on a full disk.
    ///
    /// One sees the store as it would be after an opening for writing. Calls that would change
    /// something answer `ReadOnly`, group reads included. A reader is in no writer's way: once one
    /// opens the store, the reader's next call says `Locked`; what was handed out stays valid.
    ///
    /// # Errors
    /// `Locked` while a writer has it open, `NotALog` if there is no store; as
    /// [`StoreOptions::open`].
    pub fn open_read_only(&self, dir: impl AsRef<Path>) -> Result<Store> {
        let disk = Arc::new(Overlay::new(Arc::new(RealDisk::new())));
        StoreOptions { read_only: true, ..self.clone() }.start(disk, dir.as_ref(), false)
    }

    /// Opens what is left of a damaged store, for reading only: every entry that passes its checks,
    /// and of the groups what the state journal still proves. [`Store::recovery`] lists what is
    /// missing. It asks for nothing but files that say to which store they belong.
    ///
    /// # Errors
    /// `Locked` while a writer has it open, `NotALog` if no file of a store is there.
    pub fn open_salvage(&self, dir: impl AsRef<Path>) -> Result<Store> {
        let options = StoreOptions { salvage: true, ..self.clone() };
        options.on_damage(OnDamage::Skip).open_read_only(dir)
    }

    /// Opens a store on the heap, which is gone with its last handle.
    ///
    /// # Errors
    /// `InvalidConfig`.
    pub fn open_in_memory(&self) -> Result<Store> {
        self.start(Arc::new(MemDisk::new()), Path::new("/store"), true)
    }

    pub(crate) fn start(&self, disk: Arc<dyn Disk>, dir: &Path, threads: bool) -> Result<Store> {
        self.durability.check()?;
        self.stream.check()?;
        self.idempotency.check()?;
        let shared = Arc::new(Shared::open(disk, dir, self)?);
        shared.relieve_itself();
        let worker = if threads { Some(Worker::start(&shared)) } else { None };
        Ok(Store { handle: Arc::new(Handle { shared, worker: Mutex::new(worker) }) })
    }
}
