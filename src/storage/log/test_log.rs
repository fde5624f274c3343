//! Logs of their own, for the tests of what the background does for one.

use super::*;
use crate::options::StreamOptions;
use crate::storage::disk::Disk;
use crate::storage::mem::MemDisk;
use std::path::Path;

const SEGMENT: u64 = 4 << 20;

/// An empty log that counts as fast or as slow, whatever the clock says.
pub(super) fn log(fast: bool) -> Log {
    sized(fast, SEGMENT)
}

/// The same, with segments of this size.
pub(super) fn sized(fast: bool, segment: u64) -> Log {
    let disk = Arc::new(MemDisk::new()) as Arc<dyn Disk>;
    disk.create_dir(Path::new("/1")).unwrap();
    let mut options = StoredOptions::from(&StreamOptions::new());
    options.segment_bytes = segment;
    let parts = LogParts {
        segments: Vec::new(),
        position: 0,
        active: None,
        next_number: 0,
        name: b"s".to_vec(),
        options,
        tail: Tail::default(),
        top: EntryId::MIN,
        trimmed: EntryId::MIN,
        restart: 0,
        chain: 0,
        block: None,
        skip_damage: false,
    };
    let log = Log::new(Home::new(&disk, "/1".into(), [7; 16], 1), parts).unwrap();
    log.writer.lock().pace = Pace::fixed(fast);
    log
}

/// Appends an entry of 200 KiB.
pub(super) fn append(log: &Log, ms: u64) {
    append_of(log, ms, 200 << 10);
}

/// Appends an entry of so many bytes.
pub(super) fn append_of(log: &Log, ms: u64, bytes: usize) {
    let list = vec![1; bytes];
    let lacking = log.writer().unwrap().lacks_room(list.len(), None);
    if let Some(need) = lacking {
        log.make_room(need).unwrap();
    }
    log.writer().unwrap().append(EntryId::new(ms, 0), &list, None, None).unwrap();
}
