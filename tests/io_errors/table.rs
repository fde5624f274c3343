//! The failure table: which errors fit which call, what they may be called, and what they stop.

use crate::disk::Called;
use crate::error::ErrorKind;

pub(crate) const EPERM: i32 = 1;
pub(crate) const EINTR: i32 = 4;
pub(crate) const EIO: i32 = 5;
pub(crate) const EBADF: i32 = 9;
pub(crate) const ENOMEM: i32 = 12;
pub(crate) const EACCES: i32 = 13;
pub(crate) const ENODEV: i32 = 19;
pub(crate) const ENFILE: i32 = 23;
pub(crate) const EMFILE: i32 = 24;
pub(crate) const EFBIG: i32 = 27;
pub(crate) const ENOSPC: i32 = 28;
pub(crate) const EROFS: i32 = 30;
pub(crate) const EOPNOTSUPP: i32 = 95;
pub(crate) const ESTALE: i32 = 116;
pub(crate) const EDQUOT: i32 = 122;

/// The file system is gone: whatever the call was, nothing can be trusted any more.
pub(crate) const GONE: [i32; 3] = [ESTALE, ENODEV, EBADF];

/// What a call of the seam can fail with.
pub(crate) fn errors_of(call: &str) -> Vec<i32> {
    let own: &[i32] = match call {
        "sync" => &[EIO, ENOSPC, EDQUOT, EROFS],
        "sync_dir" => &[EIO, ENOSPC, EDQUOT, EROFS, EMFILE, ENFILE],
        "allocate" => &[ENOSPC, EDQUOT, EFBIG, EIO, EROFS, EOPNOTSUPP],
        "write" => &[ENOSPC, EDQUOT, EFBIG, EIO],
        "create" => &[ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, EACCES, EPERM, EROFS, EIO],
        "create_dir" | "rename" => &[ENOSPC, EDQUOT, ENOMEM, EACCES, EPERM, EROFS, EIO],
        "remove" | "remove_dir" => &[EACCES, EPERM, EROFS, EIO, ENOMEM],
        "open" | "read_dir" | "lock" => &[EMFILE, ENFILE, ENOMEM, EACCES, EPERM, EIO],
        "read" | "len" => &[EIO],
        "map" => &[ENOMEM, ENFILE, EACCES, EPERM],
        other => panic!("the seam has no call {other}"),
    };
    own.iter().chain(&GONE).chain(&[EINTR]).copied().collect()
}

/// Whether a call changes something, so that it can fail behind its effect.
pub(crate) fn has_effect(call: &str) -> bool {
    !matches!(call, "open" | "read_dir" | "lock" | "read" | "len" | "map")
}

fn is_sync(call: &str) -> bool {
    call.starts_with("sync")
}

/// What is stopped for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Nothing,
    /// The stream with this number, if it is open.
    Stream(u64),
    Store,
}

pub(crate) fn scope((call, path): &Called, errno: i32) -> Scope {
    if GONE.contains(&errno) {
        return Scope::Store;
    }
    // A directory that could not even be opened is no failed sync.
    if !is_sync(call) || matches!(errno, EINTR | EMFILE | ENFILE) {
        return Scope::Nothing;
    }
    let mut parts = path.iter().filter_map(|part| part.to_str()).skip_while(|p| *p != "streams");
    match (parts.next(), parts.next().and_then(|number| number.parse().ok())) {
        (_, Some(number)) => Scope::Stream(number),
        (_, None) => Scope::Store,
    }
}

/// Nothing is changed when a call of the API answers one of these.
pub(crate) fn leaves_no_trace(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::StorageFull { .. }
            | ErrorKind::TooManyFiles
            | ErrorKind::TooManyMappings
            | ErrorKind::PermissionDenied
    )
}

/// Whether this is what a caller must be told, whose call met this error.
pub(crate) fn fits(kind: &ErrorKind, call: &str, errno: i32) -> bool {
    if matches!(kind, ErrorKind::Poisoned { .. }) {
        return is_sync(call) || GONE.contains(&errno);
    }
    if is_sync(call) && !matches!(errno, EMFILE | ENFILE) {
        return matches!(kind, ErrorKind::Io { op } if op.starts_with("sync"));
    }
    match errno {
        EINTR => false,
        ENOSPC | EDQUOT | EFBIG => matches!(kind, ErrorKind::StorageFull { .. }),
        ENFILE if call == "map" => matches!(kind, ErrorKind::TooManyFiles),
        ENOMEM if call == "map" => matches!(kind, ErrorKind::TooManyMappings),
        EMFILE | ENFILE => matches!(kind, ErrorKind::TooManyFiles),
        ENOMEM if matches!(call, "create" | "open" | "lock" | "read_dir") => {
            matches!(kind, ErrorKind::TooManyFiles)
        }
        EACCES | EPERM | EROFS => matches!(kind, ErrorKind::PermissionDenied),
        _ => matches!(kind, ErrorKind::Io { .. } | ErrorKind::Open),
    }
}
