//! All that a client can ask of a store, taken down.

use crate::sim::disk::SimDisk;
use crate::{
    Durability, EntryId, PendingFilter, Result, Store, StoreOptions, Stream, StreamOptions,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The streams by the numbers that the store has given them: one that gets another name stays the
/// same, and one that comes in its place is another.
pub type View = BTreeMap<u64, Life>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    pub name: Vec<u8>,
    pub entries: BTreeMap<EntryId, Fields>,
    pub groups: BTreeMap<Vec<u8>, GroupLife>,
    pub last_id: EntryId,
    pub added: u64,
    pub expires: Option<u64>,
}

pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupLife {
    pub cursor: EntryId,
    pub consumers: BTreeSet<Vec<u8>>,
    /// Whose each pending entry is, and how often it was delivered.
    pub pending: BTreeMap<EntryId, (Vec<u8>, u64)>,
}

/// As `streamlog serve --appendfsync always` opens it, but with small files.
pub fn open(disk: &SimDisk) -> Result<Store> {
    let small = StreamOptions::new().segment_bytes(8192).max_entry_bytes(3000).block_entries(5);
    let mut options = StoreOptions::default().durability(Durability::Manual).stream_defaults(small);
    let (first, usual, most) = (16 << 10, 32 << 10, 64 << 10);
    options.journal = crate::journal::Sizes { first, usual, most, due: 8 << 10, section: 512 };
    Store::open_on(Arc::new(disk.clone()), Path::new("/store"), &options)
}

pub fn look(store: &Store) -> Result<View> {
    let mut view = View::new();
    for name in store.names() {
        if let Some(stream) = store.get(&name)? {
            view.insert(stream.inner().number, life(&stream, name)?);
        }
    }
    Ok(view)
}

fn life(stream: &Stream, name: Vec<u8>) -> Result<Life> {
    let own = |bytes: &[u8]| bytes.to_vec();
    let entries = stream.range(..).map(|entry| {
        let entry = entry?;
        Ok((entry.id(), entry.fields().map(|(field, value)| (own(field), own(value))).collect()))
    });
    let entries = entries.collect::<Result<_>>()?;
    let info = stream.info()?;
    let mut groups = BTreeMap::new();
    for told in stream.groups()? {
        let Some(group) = stream.get_group(&told.name)? else { continue };
        let pending = group.pending_range(.., PendingFilter::new())?;
        let pending = pending.into_iter().map(|one| (one.id, (one.consumer, one.deliveries)));
        let life = GroupLife {
            cursor: told.last_delivered_id,
            consumers: group.consumers()?.into_iter().map(|info| info.name).collect(),
            pending: pending.collect(),
        };
        groups.insert(told.name, life);
    }
    let (last_id, added) = (info.last_id, info.entries_added);
    Ok(Life { name, entries, groups, last_id, added, expires: stream.expires_at()? })
}
