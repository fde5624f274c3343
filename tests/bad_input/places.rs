//! Directories, files, settings and names that are refused.

use crate::ground::{error, kind, live, on_both, put};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use streamlog::{
    Durability, ErrorKind, Result, Retention, Start, Store, StoreOptions, StreamOptions,
};

#[test]
fn a_directory_whose_parent_is_missing_cannot_be_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing").join("store");
    let refused = error(Store::open(&path));
    assert_eq!(*refused.kind(), ErrorKind::Open);
    assert_eq!(refused.location().unwrap().0, path);
    assert!(std::error::Error::source(&refused).is_some());
    let want = format!("cannot open the store: {}: No such file", path.display());
    assert!(refused.to_string().starts_with(&want), "{refused}");
}

#[test]
fn a_file_is_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, b"text").unwrap();
    let refused = error(Store::open(&path));
    assert_eq!(*refused.kind(), ErrorKind::Open);
    assert_eq!(refused.location().unwrap().0, path);
    assert_eq!(std::fs::read(&path).unwrap(), b"text");
}

#[test]
fn a_name_that_is_too_long_for_the_file_system_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x".repeat(5000));
    assert_eq!(kind(Store::open(path)), ErrorKind::Open);
}

/// A directory that this process is to open, as somebody who may not write there.
const FORBIDDEN: &str = "STREAMLOG_TEST_FORBIDDEN";
/// Whoever that is.
const NOBODY: u32 = 65534;

#[test]
fn a_directory_that_may_not_be_written_is_refused_with_that_reason() {
    if let Some(path) = std::env::var_os(FORBIDDEN) {
        return forbidden(Path::new(&path));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("closed");
    std::fs::create_dir(&path).unwrap();
    for path in [dir.path(), &path] {
        std::fs::set_permissions(path, Permissions::from_mode(0o555)).unwrap();
    }
    if std::fs::write(path.join("probe"), b"").is_err() {
        return forbidden(&path);
    }
    // Whoever runs this may write everywhere. The program goes where everybody may read it.
    std::fs::remove_file(path.join("probe")).unwrap();
    let program = dir.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o555)).unwrap();
    let name = "places::a_directory_that_may_not_be_written_is_refused_with_that_reason";
    let mut child = Command::new(&program);
    child.args(["--exact", name]).env(FORBIDDEN, &path).current_dir("/").uid(NOBODY);
    match child.output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("1 passed"), "{text}");
        }
        // The harness keeps what is printed to itself, but not this.
        Err(error) => drop(writeln!(
            std::io::stderr(),
            "SKIPPED: that a directory may not be written: no other user can be had: {error}"
        )),
    }
}

fn forbidden(path: &Path) {
    let refused = error(Store::open(path));
    assert_eq!(*refused.kind(), ErrorKind::PermissionDenied);
    assert_eq!(refused.location().unwrap().0.parent(), Some(path));
    assert!(std::error::Error::source(&refused).is_some());
    assert!(refused.to_string().starts_with("permission denied: "), "{refused}");
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 0);
}

#[test]
fn a_path_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(std::ffi::OsStr::from_bytes(b"st\xffore"));
    let store = Store::open(&path).unwrap();
    put(&store.stream("s").unwrap(), "1-0");
    store.close().unwrap();
    let store = Store::open(&path).unwrap();
    assert_eq!(live(&store.get("s").unwrap().unwrap()), ["1-0"]);
}

#[test]
fn a_store_is_opened_once_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let refused = error(Store::open(dir.path()));
    assert!(matches!(refused.kind(), ErrorKind::Locked { .. }));
    assert!(refused.is_retryable());
    let want = format!("the store is open in process {}", std::process::id());
    assert!(refused.to_string().starts_with(&want), "{refused}");
    store.close().unwrap();
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_directory_with_something_else_in_it_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("holiday.jpg"), b"x").unwrap();
    let refused = error(Store::open(dir.path()));
    assert_eq!(*refused.kind(), ErrorKind::NotALog);
    let want = "the directory is not empty and holds no store; choose another one: ";
    assert!(refused.to_string().starts_with(want), "{refused}");
    let names = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 1);
}

#[test]
fn a_store_of_a_newer_version_is_refused_by_its_number() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path()).unwrap().close().unwrap();
    let path = dir.path().join("STORE");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[VERSION] += 9;
    let checked = bytes.len() - 4;
    let checksum = crc32fast::hash(&bytes[..checked]);
    bytes[checked..].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let refused = error(Store::open(dir.path()));
    let ErrorKind::UnsupportedVersion { found, supported } = refused.kind() else {
        panic!("{refused:?}");
    };
    assert_eq!(*found, supported + 9);
    let want = format!("format version {found} is newer than the supported {supported}");
    assert!(refused.to_string().starts_with(&want), "{refused}");
    assert_eq!(refused.location().unwrap().0, path);
}

/// Where the version stands in the STORE file: behind the magic number.
const VERSION: usize = 8;

#[test]
fn a_damaged_store_file_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path()).unwrap().close().unwrap();
    let path = dir.path().join("STORE");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let refused = error(Store::open(dir.path()));
    assert!(matches!(refused.kind(), ErrorKind::Corrupt { .. }));
    assert!(refused.is_corruption());
    assert_eq!(refused.location().unwrap().0, path);
}

#[test]
fn a_store_without_its_store_file_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    put(&store.stream("s").unwrap(), "1-0");
    store.close().unwrap();
    std::fs::remove_file(dir.path().join("STORE")).unwrap();
    let refused = error(Store::open(dir.path()));
    assert!(matches!(refused.kind(), ErrorKind::Corrupt { .. }));
    assert!(refused.to_string().contains("the STORE file is missing"));
}

fn config(options: &StoreOptions, field: &str, value: &str, allowed: &str) {
    let refused = error(options.open_in_memory());
    let ErrorKind::InvalidConfig { field: f, value: v, allowed: a } = refused.kind() else {
        panic!("{refused:?}");
    };
    assert_eq!((*f, &v[..], *a), (field, value, allowed));
    let want = format!("{field} = {value} is not allowed; it must be {allowed}");
    assert_eq!(refused.to_string(), want);
}

#[test]
fn segments_have_sizes_that_fit_pages() {
    let allowed = "a multiple of 4096 from 4096 to 4294963200";
    for size in [0, 1, 4095, 4097, 6000, 4 << 30, u64::MAX] {
        let options = StreamOptions::new().segment_bytes(size);
        let store = Store::options().stream_defaults(options.clone());
        config(&store, "segment_bytes", &size.to_string(), allowed);
        let store = Store::in_memory().unwrap();
        let refused = kind(store.stream_with("s", options));
        assert!(matches!(refused, ErrorKind::InvalidConfig { .. }));
        assert!(!store.exists("s"));
    }
}

/// Fails if `Stream::options` (src/stream/durable.rs) tells what was asked for last.
#[test]
fn settings_of_a_stream_that_exists_stay_and_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let made = StreamOptions::new().segment_bytes(8192).block_entries(7);
    let asked = StreamOptions::new().segment_bytes(1 << 20).max_entry_bytes(100);
    {
        let store = Store::open(dir.path()).unwrap();
        let stream = store.stream_with("s", made.clone()).unwrap();
        assert_eq!(stream.options().unwrap(), made);
        let again = store.stream_with("s", asked.clone()).unwrap();
        assert_eq!(again.options().unwrap(), made);
        assert_eq!(store.stream("t").unwrap().options().unwrap(), StreamOptions::new());
    }
    let other = Store::options().stream_defaults(asked.clone());
    let store = other.open(dir.path()).unwrap();
    let stream = store.stream("s").unwrap();
    assert_eq!(stream.options().unwrap(), made);
    let keeps = asked.retention(Retention::new().max_len(9));
    let level = Durability::Manual;
    stream.set_options(&keeps.clone().durability(level)).unwrap();
    assert_eq!(stream.options().unwrap(), keeps);
    assert_eq!(store.stream_with("s", made).unwrap().options().unwrap(), keeps);
    drop(store.stream("new").unwrap());
}

#[test]
fn an_age_is_at_least_a_millisecond() {
    let nothing = Retention::new().max_age(Duration::from_micros(999));
    let store = Store::options().stream_defaults(StreamOptions::new().retention(nothing));
    config(&store, "max_age", "0 ms", "at least 1 ms");
    let stream = Store::in_memory().unwrap().stream("s").unwrap();
    assert!(matches!(kind(stream.set_retention(nothing)), ErrorKind::InvalidConfig { .. }));
    assert_eq!(stream.retention().unwrap(), Retention::new());
    stream.set_retention(Retention::new().max_age(Duration::MAX)).unwrap();
    assert_eq!(stream.enforce_retention().unwrap(), 0);
}

#[test]
fn the_largest_entry_has_bounds() {
    for size in [0, (256 << 20) - 4095, u64::MAX] {
        let stream = StreamOptions::new().max_entry_bytes(size);
        let store = Store::options().stream_defaults(stream);
        let text = size.to_string();
        let allowed = "from 1 to 268431360 and at least 1024 less than segment_bytes";
        config(&store, "max_entry_bytes", &text, allowed);
    }
}

#[test]
fn an_interval_has_a_length_and_a_size() {
    let level = |every, max_unsynced_bytes| Durability::Interval { every, max_unsynced_bytes };
    let second = Duration::from_secs(1);
    let none = Store::options().durability(level(Duration::ZERO, 1));
    config(&none, "interval", "0ns", "longer than zero");
    let none = Store::options().durability(level(second, 0));
    config(&none, "max_unsynced_bytes", "0", "at least 1");
    let stream = StreamOptions::new().durability(level(second, 0));
    let none = Store::options().stream_defaults(stream);
    config(&none, "max_unsynced_bytes", "0", "at least 1");
}

#[test]
fn a_name_has_at_most_255_bytes() {
    on_both(|store| {
        let (long, longer) = ([b'x'; 255], [b'x'; 256]);
        let refused = |what: &'static str, result: Result<()>| {
            let refused = error(result);
            assert_eq!(*refused.kind(), ErrorKind::InvalidName { what, len: 256 });
            let want = format!("the {what} name has 256 bytes; at most 255 are allowed");
            assert_eq!(refused.to_string(), want);
        };
        let stream = store.stream(long).unwrap();
        let group = stream.create_group(long, Start::First).unwrap();
        assert!(group.create_consumer(long).unwrap());
        refused("stream", store.stream(longer).map(drop));
        refused("stream", store.rename(long, longer));
        refused("stream", store.copy(long, longer, true).map(drop));
        refused("group", stream.create_group(longer, Start::First).map(drop));
        refused("consumer", group.consumer(longer).map(drop));
        refused("consumer", group.create_consumer(longer).map(drop));
        // To ask for a name that cannot be is no error.
        assert!(store.get(longer).unwrap().is_none());
        assert!(!store.exists(longer));
        assert!(!store.remove(longer).unwrap());
        assert!(stream.get_group(longer).unwrap().is_none());
        assert!(!stream.remove_group(longer).unwrap());
        assert_eq!(group.remove_consumer(longer).unwrap(), 0);
        assert_eq!(store.names(), [long.to_vec()]);
    });
}
