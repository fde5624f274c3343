//! What recovery tells of one stream.

use crate::id::EntryId;
use std::fmt;
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
    /// Those of them that are damaged: their beginning cannot be read, or is another segment's.
    pub damaged: Vec<PathBuf>,
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

/// One line for each thing that was found and done; nothing if there was none.
impl fmt::Display for StreamRecovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut items: Vec<String> = self.cut.iter().map(ToString::to_string).collect();
        items.extend(self.set_aside.iter().map(|path| {
            let is_damaged = self.damaged.contains(path);
            let what = if is_damaged { "damaged segment" } else { "segment that is no part of it" };
            format!("a {what} was set aside: {}", path.display())
        }));
        items.extend(self.gaps.iter().map(ToString::to_string));
        if self.rescued_bytes > 0 {
            let bytes = self.rescued_bytes;
            items.push(format!("{bytes} bytes were kept that may not have been on disk"));
        }
        let strays = self.strays.iter();
        items.extend(
            strays.map(|path| format!("not the store's, and left alone: {}", path.display())),
        );
        for (n, item) in items.iter().enumerate() {
            let start = if n > 0 { "\n" } else { "" };
            write!(f, "{start}stream \"{}\": {item}", self.name.escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Display for CutTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CutTail { path, offset, bytes, frames_behind } = self;
        let frames = if *frames_behind { ", with whole frames in it" } else { "" };
        let path = path.display();
        write!(f, "a torn tail of {bytes} bytes was cut{frames}: {path} at byte {offset}")
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gap { path, from, to, after, before, entries } = self;
        f.write_str(if from == to { "segments are missing, " } else { "damage was skipped, " })?;
        if *entries > 0 {
            write!(f, "{entries} ")?;
        }
        match *before {
            EntryId::MAX => write!(f, "entries behind {after}")?,
            before => write!(f, "entries between {after} and {before}")?,
        }
        write!(f, ": {}", path.display())?;
        if from < to { write!(f, ", bytes {from} to {to}") } else { Ok(()) }
    }
}
