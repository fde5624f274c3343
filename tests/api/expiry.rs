//! The time at which a stream is to be removed is kept with it, and removes nothing.

use crate::ground::{on_both, put};
use streamlog::{ErrorKind, Store};

fn expiry(store: &Store, name: &str) -> Option<u64> {
    store.get(name).unwrap().unwrap().expires_at().unwrap()
}

/// Fails if a rename or a copy leaves the time behind, or if a new stream inherits one.
#[test]
fn an_expiry_goes_along_and_ends_with_its_stream() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        assert_eq!(stream.expires_at().unwrap(), None);
        put(&stream, "1-1");
        // A time that is long past.
        stream.set_expires_at(Some(5)).unwrap();
        assert_eq!(stream.len().unwrap(), 1);
        store.rename("s", "t").unwrap();
        assert_eq!(expiry(store, "t"), Some(5));
        assert!(store.copy("t", "u", false).unwrap());
        stream.set_expires_at(None).unwrap();
        assert_eq!((expiry(store, "t"), expiry(store, "u")), (None, Some(5)));
        assert!(store.copy("t", "u", true).unwrap());
        assert_eq!(expiry(store, "u"), None);
        stream.set_expires_at(Some(u64::MAX)).unwrap();
        assert!(store.remove("t").unwrap());
        let gone = stream.set_expires_at(None).unwrap_err();
        assert!(matches!(gone.kind(), ErrorKind::NoStream { .. }));
        store.stream("t").unwrap();
        assert_eq!(expiry(store, "t"), None);
    });
}

/// Fails if the record of the time is not read again, or if a checkpoint leaves it out.
#[test]
fn an_expiry_survives_reopening_and_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    for turn in 1..4 {
        let store = Store::open(dir.path()).unwrap();
        if turn == 1 {
            store.stream("s").unwrap().set_expires_at(Some(7_000_000_000_000)).unwrap();
            store.stream("t").unwrap().set_expires_at(Some(7)).unwrap();
            store.stream("t").unwrap().set_expires_at(None).unwrap();
        }
        assert_eq!(expiry(&store, "s"), Some(7_000_000_000_000), "turn {turn}");
        assert_eq!(expiry(&store, "t"), None);
        // The next open reads records the first time, then what this one's checkpoint says.
        store.close().unwrap();
    }
}
