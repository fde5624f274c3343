//! What a process holds of the simulated disk: open files and locks.

use super::{Inner, SimDisk, full, io_error, lock};
use crate::storage::disk::{DiskFile, DiskLock};
use crate::storage::region::Region;
use std::io;
use std::sync::MutexGuard;

use super::super::names::NodeId;
use super::super::rng::{mix, mix_bytes};

#[derive(Debug)]
pub struct SimLock {
    pub disk: SimDisk,
    pub node: NodeId,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut inner = lock(&self.disk.inner);
        if inner.life == self.disk.life {
            inner.locked.remove(&self.node);
        }
    }
}

#[derive(Debug)]
pub struct SimFile {
    pub disk: SimDisk,
    pub node: NodeId,
    pub writable: bool,
}

impl SimFile {
    fn enter(
        &self,
        what: &'static str,
        detail: impl FnOnce() -> u64,
    ) -> io::Result<MutexGuard<'_, Inner>> {
        self.disk.enter(what, || mix(detail(), u64::from(self.node)))
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.writable {
            true => Ok(()),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut inner = self.enter("len", || 0)?;
        Ok(inner.file(self.node).len())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut inner = self.enter("allocate", || len)?;
        self.check_writable()?;
        if len > inner.file(self.node).len() {
            full(&mut inner)?;
        }
        inner.file(self.node).allocate(len)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut inner = self.enter("read_at", || offset)?;
        inner.file(self.node).read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut inner = self.enter("write_at", || mix(offset, mix_bytes(0, bytes)))?;
        self.check_writable()?;
        inner.file(self.node).write_at(bytes, offset)
    }

    fn ready_blocks(&self, from: u64, to: u64) -> io::Result<()> {
        let mut inner = self.enter("ready_blocks", || mix(from, to))?;
        self.check_writable()?;
        inner.file(self.node).write_at(&vec![0; (to - from) as usize], from)
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.enter("sync", || 0)?;
        if inner.fails(|faults| &mut faults.sync_in) {
            let Inner { files, rng, .. } = &mut *inner;
            files.get_mut(&self.node).unwrap().fail_sync(rng);
            return Err(io_error());
        }
        inner.file(self.node).sync();
        let is_new =
            inner.names.current.all().any(|(_, name, node)| {
                node == self.node && name.as_encoded_bytes().ends_with(b".tmp")
            });
        let meanwhile = if is_new { None } else { inner.meanwhile.take() };
        if let Some(meanwhile) = meanwhile {
            // The sync has covered what was there when it began, and nothing of this.
            drop(inner);
            meanwhile();
            inner = lock(&self.disk.inner);
        }
        inner.take_step("after sync");
        Ok(())
    }

    fn map(&self, len: u64, writable: bool) -> io::Result<Region> {
        let mut inner = self.enter("map", || len)?;
        if writable {
            self.check_writable()?;
        }
        inner.file(self.node).map(len, writable)
    }
}
