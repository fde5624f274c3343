//! What recovery tells of one stream.

use crate::id::EntryId;
use std::path::PathBuf;

/// What recovery did to one stream. Nothing is changed on disk without a line in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamRecovery {
    /// The stream's name.
    pub name: Vec<u8>,
    /// Where a torn tail was cut, if there was one.
    pub cut: Option<CutTail>,
    /// Segments that lie beside the stream and are ignored.
    pub set_aside: Vec<PathBuf>,
    /// Damaged stretches that were skipped.
    pub gaps: Vec<Gap>,
    /// Names in the stream's directory that are not the store's.
    pub strays: Vec<PathBuf>,
    /// How many bytes above the durable position were kept and made durable.
    pub rescued_bytes: u64,
    /// How many segments were scanned because they had no footer.
    pub scanned_segments: usize,
}

/// A torn tail: bytes behind the last good frame that were never known to be durable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutTail {
    /// The segment's file; the bytes stay in it.
    pub path: PathBuf,
    /// Where the log ends now.
    pub offset: u64,
    /// How many bytes behind the cut are not zero, up to the last one that is not.
    pub bytes: u64,
    /// Whether frames that pass their checks lie behind the cut.
    pub frames_behind: bool,
}

/// A damaged stretch with the entries on both sides of it.
///
/// Of whole segments that are missing, `path` is the segment behind them, or the last one before
/// them if none is left behind, or the stream's directory if none is left at all; `from` equals
/// `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The file.
    pub path: PathBuf,
    /// The first byte of the stretch.
    pub from: u64,
    /// The first byte behind it.
    pub to: u64,
    /// The last ID before it.
    pub after: EntryId,
    /// The first ID behind it that can be read; the highest possible one if there is none.
    pub before: EntryId,
    /// How many entries are missing, as far as that can be told; deleted ones count too.
    pub entries: u64,
}
