//! A sealed segment whose footer somebody else wrote: reading through it gives what is in the
//! frames, or says that it is damaged.

use super::Input;
use super::disk::FixedDisk;
use super::image::{self, Image, REPAIR};
use super::recovery::{self, DIR, expected, journal_path, segment_path};
use crate::entry::Entry;
use crate::error::Error;
use crate::format::footer::TRAILER;
use crate::format::header::{FileHeader, StoreHeader};
use crate::format::{name, put};
use crate::id::EntryId;
use crate::options::{AppendOptions, StreamOptions};
use crate::storage::disk::{Disk, OpenMode};
use crate::storage::segment::read_footer;
use crate::store::Store;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

type Walked<'a> = Box<dyn Iterator<Item = Result<Entry, Error>> + 'a>;

/// A closed store with a sealed segment and one behind it.
pub(super) struct Template {
    journal: Vec<Image>,
    pub(super) segments: Vec<Image>,
    pub(super) entries: BTreeMap<EntryId, Entry>,
}

impl Template {
    pub(super) fn get() -> &'static Template {
        static TEMPLATE: OnceLock<Template> = OnceLock::new();
        TEMPLATE.get_or_init(Template::make)
    }

    fn make() -> Template {
        let disk = recovery::disk();
        let stream = StreamOptions::new().segment_bytes(4096).block_entries(3);
        let options = recovery::store_options().stream_defaults(stream);
        let shared = Arc::clone(&disk) as Arc<dyn Disk>;
        let store = Store::open_on(shared, Path::new(DIR), &options).unwrap();
        let stream = store.stream("s").unwrap();
        for n in 0..90 {
            let fields = [("n", vec![b'0'; n as usize % 40])];
            let id = AppendOptions::new().id(EntryId::new(5 + n / 3, n % 3));
            stream.append_with(fields, id).unwrap();
            if n % 20 == 0 {
                store.step_sync().unwrap();
                store.step_prepare().unwrap();
            }
        }
        store.step_sync().unwrap();
        store.step_prepare().unwrap();
        // Until all files of the journal are in use.
        for _ in 0..3 {
            store.step_checkpoint().unwrap();
            store.step_sync().unwrap();
        }
        let entries = stream.range(..).map(|entry| entry.unwrap());
        let entries = entries.map(|entry| (entry.id(), entry)).collect();
        drop(stream);
        store.close().unwrap();
        let files = |path: fn(u8) -> std::path::PathBuf, count| -> Vec<Image> {
            (0..count).map(|n| (n, disk.bytes_of(&path(n)))).collect()
        };
        Template { journal: files(journal_path, 3), segments: files(segment_path, 2), entries }
    }

    /// A disk with this store, and other bytes for some of its segments.
    fn disk(&self, segments: &[Image]) -> Arc<FixedDisk> {
        let disk = recovery::disk();
        image::store(&disk, &self.journal, journal_path);
        disk.create_dir(segment_path(0).parent().unwrap()).unwrap();
        image::store(&disk, segments, segment_path);
        disk
    }

    /// All files that have a header: STORE, the journal's, the segments.
    pub(super) fn all(&self) -> Vec<Image> {
        let header = StoreHeader { uuid: image::UUID, created_ms: 0 }.encode().to_vec();
        let others = self.journal.iter().chain(&self.segments);
        let all = std::iter::once(header).chain(others.map(|(_, bytes)| bytes.clone()));
        (0..).zip(all).collect()
    }

    /// A disk with these files in the place of [`Template::all`].
    pub(super) fn disk_of(&self, files: &[Image]) -> Arc<FixedDisk> {
        let disk = FixedDisk::new();
        let dir = segment_path(0).parent().unwrap().to_owned();
        let root = Path::new(DIR);
        for path in [root, &root.join(name::STATE), &root.join(name::STREAMS), &dir] {
            disk.create_dir(path).unwrap();
        }
        image::store(&disk, files, |number| match number {
            0 => root.join(name::STORE),
            1..=3 => journal_path(number - 1),
            _ => segment_path(number - 4),
        });
        disk
    }

    /// What is there is what was appended, and the same by whatever way one looks.
    pub(super) fn check(&self, store: &Store) -> Option<Vec<EntryId>> {
        let stream = store.get("s").inspect_err(expected).ok()??;
        // A footer may be forged so that seeking passes entries over: both ways need not agree.
        let read = |walk: Walked<'_>| -> Option<Vec<Entry>> {
            walk.map(|entry| entry.inspect_err(expected).ok()).collect()
        };
        let entries = read(Box::new(stream.range(..)))?;
        assert!(entries.windows(2).all(|pair| pair[0].id() < pair[1].id()), "IDs do not grow");
        let back = read(Box::new(stream.range(..).rev()))?;
        assert!(back.windows(2).all(|pair| pair[0].id() > pair[1].id()), "IDs do not fall");
        stream.info().inspect_err(expected).ok()?;
        for entry in entries.iter().chain(&back) {
            assert_eq!(self.entries.get(&entry.id()), Some(entry), "that was not appended");
        }
        for (id, entry) in &self.entries {
            let found: Result<Option<Entry>, Error> = stream.get(*id);
            let found = found.inspect_err(expected).ok()?;
            assert!(found.is_none_or(|found| found == *entry));
        }
        Some(entries.iter().map(Entry::id).collect())
    }
}

/// Reads a stream whose first segment has the input for a footer: switches, then the footer's body,
/// and its trailer unless that is put right. Returns whether the footer passed its checksums.
pub fn index(data: &[u8]) -> bool {
    let mut input = Input(data);
    let switches = input.byte();
    let template = Template::get();
    let mut segments = template.segments.clone();
    let (_, bytes) = &mut segments[0];
    let seed = FileHeader::decode(bytes).unwrap().seed();
    let place = bytes.len() - TRAILER;
    let range = image::footer_of(bytes).unwrap();
    bytes[range.start..].fill(0);
    if switches & REPAIR != 0 {
        let body = input.bytes(place - range.start);
        put(bytes, range.start, body);
        image::put_trailer(bytes, seed, range.start, body);
    } else {
        let body = input.bytes(input.0.len().saturating_sub(TRAILER).min(place - range.start));
        put(bytes, range.start, body);
        put(bytes, place, input.bytes(TRAILER));
    }
    let disk = template.disk(&segments);
    let file = disk.open(&segment_path(0), OpenMode::Read).unwrap();
    let passed = read_footer(&*file, seed).is_some();
    let options = recovery::options(switches);
    let look = || {
        let store = recovery::open(&disk, &options)?;
        let ids = template.check(&store)?;
        store.close().inspect_err(expected).ok()?;
        Some(ids)
    };
    if let Some(first) = look() {
        assert_eq!(look(), Some(first), "the second opening differs");
    }
    passed
}
