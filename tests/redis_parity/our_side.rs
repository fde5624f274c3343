//! The operations on a store of ours, through the public API alone.
//!
//! Redis's commands name keys and groups, our calls are made on handles: where there is no
//! handle to be had, the reply is what Redis says of a missing key or group. What handles answer
//! once their stream or group is gone is checked on the way.

use crate::op::*;
use crate::reply::{Class, Reply, Side};
use crate::resp::NODE_ENTRIES;
use streamlog::{Durability, ErrorKind, Result, Store, StreamOptions};
use tempfile::TempDir;

#[path = "our_side/calls.rs"]
mod calls;
#[path = "our_side/group_calls.rs"]
mod group_calls;
use calls::{add, keys, on_stream, read};
use group_calls::{group_read, on_group};

pub(crate) struct OurSide {
    /// `None` for a store in memory.
    dir: Option<TempDir>,
    store: Option<Store>,
    opened: u32,
}

impl OurSide {
    pub(crate) fn on_disk() -> OurSide {
        OurSide::start(Some(tempfile::tempdir().unwrap()))
    }

    pub(crate) fn in_memory() -> OurSide {
        OurSide::start(None)
    }

    fn start(dir: Option<TempDir>) -> OurSide {
        let mut side = OurSide { dir, store: None, opened: 0 };
        side.store = Some(side.open().unwrap());
        side
    }

    /// Opens the store, each time at the next durability level: replies do not depend on it.
    fn open(&mut self) -> Result<Store> {
        let levels = [Durability::Manual, Durability::EVERY_SECOND, Durability::Always];
        let level = levels[self.opened as usize % levels.len()];
        self.opened += 1;
        let defaults = StreamOptions::new().block_entries(NODE_ENTRIES).block_bytes(0);
        let options = Store::options().durability(level).stream_defaults(defaults);
        match &self.dir {
            Some(dir) => options.open(dir.path()),
            None => options.open_in_memory(),
        }
    }

    fn reopen(&mut self) -> Result<Reply> {
        if let Some(store) = self.store.take() {
            store.close()?;
        }
        self.store = Some(self.open()?);
        Ok(Reply::Ok)
    }

    fn play(&mut self, op: &Op) -> Result<Reply> {
        if *op == Op::Reopen {
            return self.reopen();
        }
        let store = self.store.as_ref().expect("the store is open");
        match op {
            Op::Add { .. } | Op::AddBatch { .. } => add(store, op),
            Op::Read { from, count } => read(store, from, *count),
            Op::GroupRead { .. } => group_read(store, op),
            Op::Remove { .. } | Op::Rename { .. } | Op::Copy { .. } => keys(store, op),
            Op::Exists { key } => Ok(Reply::Int(store.exists(key).into())),
            Op::Names => Ok(Reply::Names(store.names())),
            Op::GroupCreate { key, make: true, .. } => {
                let stream = store.stream(key)?;
                on_stream(&stream, op)
            }
            Op::Len { key }
            | Op::Get { key, .. }
            | Op::Range { key, .. }
            | Op::Delete { key, .. }
            | Op::Trim { key, .. }
            | Op::Info { key }
            | Op::Full { key, .. }
            | Op::Groups { key }
            | Op::SetId { key, .. }
            | Op::GroupCreate { key, .. }
            | Op::GroupOpen { key, .. }
            | Op::GroupDestroy { key, .. } => match store.get(key)? {
                Some(stream) => on_stream(&stream, op),
                None => Ok(without_stream(op)),
            },
            Op::Ack { key, group, .. }
            | Op::Pending { key, group }
            | Op::PendingRange { key, group, .. }
            | Op::Claim { key, group, .. }
            | Op::AutoClaim { key, group, .. }
            | Op::Consumers { key, group }
            | Op::GroupSet { key, group, .. }
            | Op::ConsumerCreate { key, group, .. }
            | Op::ConsumerDelete { key, group, .. } => match store.get(key)? {
                None => Ok(without_stream(op)),
                Some(stream) => match stream.get_group(group)? {
                    Some(group) => on_group(&group, op),
                    None => Ok(without_group(op)),
                },
            },
            Op::Reopen => unreachable!("done above"),
        }
    }
}

impl Side for OurSide {
    fn run(&mut self, op: &Op) -> Reply {
        match self.play(op) {
            Ok(reply) => reply,
            Err(error) => Reply::Err(class(error.kind())),
        }
    }

    fn reset(&mut self) {
        // After a panic there may be no store, or one that does not close.
        if let Some(store) = self.store.take() {
            store.close().ok();
        }
        let dir = self.dir.is_some().then(|| tempfile::tempdir().unwrap());
        *self = OurSide::start(dir);
    }
}

fn class(kind: &ErrorKind) -> Class {
    match kind {
        ErrorKind::IdNotGreater { .. } => Class::IdNotGreater,
        ErrorKind::IdZero => Class::IdZero,
        ErrorKind::IdExhausted => Class::IdExhausted,
        ErrorKind::NoStream { .. } => Class::NoStream,
        ErrorKind::NoGroup { .. } => Class::NoGroup,
        ErrorKind::GroupExists { .. } => Class::GroupExists,
        ErrorKind::NoFields => Class::NoFields,
        ErrorKind::InvalidTrim { .. } => Class::InvalidTrim,
        ErrorKind::InvalidArgument { .. } => Class::InvalidArgument,
        ErrorKind::SetIdTooSmall { .. } => Class::SetIdTooSmall,
        other => Class::Other(format!("{other:?}")),
    }
}

fn without_stream(op: &Op) -> Reply {
    match op {
        // Redis looks at arguments first, and there is no handle here that could.
        Op::AutoClaim { count: 0, .. } => Reply::Err(Class::InvalidArgument),
        Op::SetId { last, max_deleted: Some(id), .. } if last < id => {
            Reply::Err(Class::SetIdTooSmall)
        }
        Op::Trim { cut, .. } if cut.limit.is_some() && !cut.approximate => {
            Reply::Err(Class::InvalidTrim)
        }
        Op::Len { .. } | Op::Delete { .. } | Op::Trim { .. } | Op::Ack { .. } => Reply::Int(0),
        Op::Get { .. } | Op::Range { .. } => Reply::Items(Vec::new()),
        Op::Pending { .. } | Op::PendingRange { .. } | Op::Claim { .. } | Op::AutoClaim { .. } => {
            Reply::Err(Class::NoGroup)
        }
        _ => Reply::Err(Class::NoStream),
    }
}

fn without_group(op: &Op) -> Reply {
    match op {
        Op::AutoClaim { count: 0, .. } => Reply::Err(Class::InvalidArgument),
        Op::Ack { .. } => Reply::Int(0),
        _ => Reply::Err(Class::NoGroup),
    }
}

/// What a handle must answer once its stream is gone.
fn expect_no_stream<T>(what: &str, answer: Result<T>) -> Option<Reply> {
    match answer {
        Err(error) if matches!(error.kind(), ErrorKind::NoStream { .. }) => None,
        Err(error) => Some(Reply::Err(Class::Other(format!("{what}: {error}")))),
        Ok(_) => Some(Reply::Err(Class::Other(format!("{what} still works")))),
    }
}
