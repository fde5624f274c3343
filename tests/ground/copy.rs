//! Copies of a store's directory, in use or not.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Directories, and files with their bytes.
type Files = BTreeMap<PathBuf, Option<Vec<u8>>>;

fn files(dir: &Path, out: &mut Files) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, out)?;
            out.insert(path, None);
        } else {
            let bytes = fs::read(&path)?;
            out.insert(path, Some(bytes));
        }
    }
    Ok(())
}

/// Copies a directory that threads may be working in: as it is once two looks at it are the same.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    let look = || {
        let mut found = Files::new();
        if let Err(error) = files(from, &mut found) {
            // It went between the listing and the look.
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
            return None;
        }
        Some(found)
    };
    assert!(from.is_dir(), "{from:?} is no directory");
    let mut before = look();
    let whole = loop {
        match (before, look()) {
            (Some(before), Some(now)) if before == now => break now,
            (_, now) => before = now,
        }
    };
    fs::create_dir_all(to).unwrap();
    for (path, bytes) in whole {
        let copy = to.join(path.strip_prefix(from).unwrap());
        match bytes {
            None => fs::create_dir_all(copy).unwrap(),
            Some(bytes) => fs::write(copy, bytes).unwrap(),
        }
    }
}

/// A directory that holds the files that a dying process would have left.
pub(crate) fn died(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir, copy.path());
    copy
}
