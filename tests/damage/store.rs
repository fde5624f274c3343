//! The STORE file and what else lies in the directory.

use crate::made::{assert_damage, error, flip, ids, manual, put, skipping, stream, upto};
use std::fs;
use std::path::Path;
use streamlog::ErrorKind;

fn closed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    put(&store.stream("s").unwrap(), 1..=10);
    store.close().unwrap();
    dir
}

/// CRC-32 as in zlib, bit by bit: the tests' own, so that they can write a header.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// Gives a file the header of a later version, with the right checksum.
pub(crate) fn make_newer(path: &Path, header: usize) {
    let mut bytes = fs::read(path).unwrap();
    let checked = header - 4;
    let stored = u32::from_le_bytes(bytes[checked..header].try_into().unwrap());
    assert_eq!(stored, crc(&bytes[..checked]), "the header is good before");
    bytes[8] = 9;
    let sum = crc(&bytes[..checked]).to_le_bytes();
    bytes[checked..header].copy_from_slice(&sum);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_store_file_that_is_damaged_is_refused_and_left_alone() {
    for offset in [0, 9, 17, 35, 61] {
        let dir = closed();
        let path = dir.path().join("STORE");
        flip(&path, offset);
        let before = fs::read(&path).unwrap();
        let refused = error(manual().open(dir.path()));
        assert_damage(&refused, &path, Some(0));
        // The other files say which store it is.
        for _ in 0..2 {
            let store = skipping().open(dir.path()).unwrap();
            assert_eq!(ids(&stream(&store, "s")), upto(10));
            let from = store.recovery().uuid_from.unwrap();
            assert!(from.starts_with(dir.path().join("state")), "{}", from.display());
            store.close().unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

/// Fails if `own` takes every UUID for the store's: then no other file belongs to it, and with damage
/// being skipped an empty store is opened.
#[test]
fn a_store_file_of_another_store_is_refused_and_done_without() {
    let (dir, other) = (closed(), closed());
    let path = dir.path().join("STORE");
    fs::copy(other.path().join("STORE"), &path).unwrap();
    assert_damage(&error(manual().open(dir.path())), &path, Some(0));
    let store = skipping().open(dir.path()).unwrap();
    assert_eq!(ids(&stream(&store, "s")), upto(10));
    assert!(store.recovery().uuid_from.is_some());
    store.close().unwrap();
    // Where one other file belongs to it, it is the store's.
    fs::copy(dir.path().join("state/0"), other.path().join("state/0")).unwrap();
    let store = skipping().open(other.path()).unwrap();
    assert_eq!(store.recovery().uuid_from, None);
}

#[test]
fn a_cut_or_missing_store_file_is_refused() {
    let dir = closed();
    let path = dir.path().join("STORE");
    let bytes = fs::read(&path).unwrap();
    for len in [0, 10, 63] {
        fs::write(&path, &bytes[..len]).unwrap();
        assert_damage(&error(manual().open(dir.path())), &path, Some(0));
    }
    fs::remove_file(&path).unwrap();
    assert_damage(&error(manual().open(dir.path())), &path, None);
    assert_damage(&error(manual().open_read_only(dir.path())), &path, None);
    assert_eq!(ids(&stream(&skipping().open(dir.path()).unwrap(), "s")), upto(10));
    assert!(!path.exists());
    fs::write(&path, &bytes).unwrap();
    let store = manual().open(dir.path()).unwrap();
    assert_eq!(ids(&stream(&store, "s")), upto(10));
}

/// Fails if only the streams' directories tell that there was a store: one without any is then made
/// anew, over its own journal.
#[test]
fn a_store_without_streams_that_lost_its_store_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    manual().open(dir.path()).unwrap().close().unwrap();
    let path = dir.path().join("STORE");
    fs::remove_file(&path).unwrap();
    assert_damage(&error(manual().open(dir.path())), &path, None);
    assert!(!path.exists());
    assert_eq!(skipping().open(dir.path()).unwrap().names(), [[0u8; 0]; 0]);
}

#[test]
fn a_newer_version_is_named_in_every_kind_of_file() {
    for (name, header) in [("STORE", 64), ("state/1", 128)] {
        let dir = closed();
        let path = dir.path().join(name);
        make_newer(&path, header);
        let refused = error(manual().open(dir.path()));
        let supported = 0;
        let newer = ErrorKind::UnsupportedVersion { found: 9, supported };
        assert_eq!(*refused.kind(), newer, "{name}");
        assert_eq!(refused.location().unwrap().0, path);
        assert!(refused.to_string().contains("use a newer streamlog"));
    }
}

#[test]
fn a_directory_with_other_things_in_it_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("letter.txt"), b"dear").unwrap();
    let refused = error(manual().open(dir.path()));
    assert_eq!(*refused.kind(), ErrorKind::NotALog);
    assert_eq!(refused.location().unwrap().0, dir.path());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_stream_directory_that_vanished_is_damage() {
    let dir = closed();
    fs::remove_dir_all(dir.path().join("streams/1")).unwrap();
    let store = manual().open(dir.path()).unwrap();
    let refused = error(store.get("s"));
    assert_damage(&refused, &dir.path().join("streams/1"), None);
}
