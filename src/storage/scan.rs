//! Walks the frames of a segment's file from its first to its last: recovery's eyes.
//!
//! Reads by `read_at`, never through a map: a failing disk gives an error there and a signal here.
//! It decides nothing: it reports where the good frames end, what lies behind, and up to where the
//! frames themselves prove that the log was durable. [`recover`](super::recover) judges.

use super::disk::DiskFile;
use crate::error::Result;
use crate::format::footer::BlockStart;
use crate::format::frame::{
    ALIGN, BLOCK_HEADER, Begin, COMMIT, Entries, Extras, HEADER, Header, Kind, chain,
};
use crate::format::header::FILE_HEADER;
use crate::id::EntryId;
use std::path::Path;

mod window;
pub(crate) use window::Window;

/// A stretch that does not pass its checks, with good frames behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The IDs between which entries are missing.
    pub(crate) ids: (EntryId, EntryId),
    /// The numbers within the segment of the entries that are missing.
    pub(crate) ordinals: (u64, u64),
}

/// What the frames of a segment say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) begin: Option<Begin>,
    /// Where the first frame behind Begin lies.
    pub(crate) first_offset: u64,
    /// The end of the last good frame that belongs to a complete batch or stands alone.
    pub(crate) end: u64,
    pub(crate) entries: u64,
    pub(crate) last_id: EntryId,
    pub(crate) chain: u64,
    pub(crate) trimmed: EntryId,
    pub(crate) index: Vec<BlockStart>,
    /// The last good frame is a Close.
    pub(crate) closed: bool,
    /// The highest durable position that a frame proves; frames behind `end` count too.
    pub(crate) durable: u64,
    /// The end of what is not zero in the file.
    pub(crate) nonzero_end: u64,
    /// Whether frames that pass their checks lie behind `end`.
    pub(crate) frames_behind: bool,
    pub(crate) holes: Vec<Hole>,
    /// What the last block holds: base, entries, bytes of field lists.
    pub(crate) last_block: Option<(EntryId, u64, u64)>,
}

/// State that is taken back when a batch turns out to have no end.
#[derive(Clone, Copy)]
struct Point {
    end: u64,
    entries: u64,
    last_id: EntryId,
    chain: u64,
    trimmed: EntryId,
    blocks: usize,
    /// Base of the block that the next frame continues.
    block: Option<EntryId>,
    block_start: u64,
    block_bytes: u64,
    closed: bool,
    /// A batch has begun and has not ended: only the rest of it may follow.
    in_batch: bool,
}

struct Walk<'a> {
    window: Window<'a>,
    seed: u32,
    begin: Begin,
    now: Point,
    committed: Point,
    index: Vec<BlockStart>,
    durable: u64,
    holes: Vec<Hole>,
}

enum Step {
    Next(u64),
    Bad,
}

/// Walks a segment. Bad frames below the offset `skip_below` are stepped over and reported as
/// holes; the first bad frame at or above it ends the walk.
///
/// # Errors
/// `Io` only; whatever the bytes are, they are described and not refused.
pub(crate) fn scan(file: &dyn DiskFile, path: &Path, seed: u32, skip_below: u64) -> Result<Scan> {
    scan_until(file, path, seed, skip_below, u64::MAX)
}

/// [`scan`] that takes nothing in at or behind the offset `stop`.
pub(crate) fn scan_until(
    file: &dyn DiskFile,
    path: &Path,
    seed: u32,
    skip_below: u64,
    stop: u64,
) -> Result<Scan> {
    let mut window = Window::new(file, path)?;
    let first = FILE_HEADER as u64;
    let Some((begin, extras, header)) = read_begin(&mut window, seed)? else {
        let nonzero_end = window.nonzero_end(first)?;
        return Ok(empty(first, nonzero_end));
    };
    let first_offset = first + header.frame_len();
    let now = Point {
        end: first_offset,
        entries: 0,
        last_id: begin.last_id,
        chain: chain(begin.chain, header.crc),
        trimmed: EntryId::MIN,
        blocks: 0,
        block: None,
        block_start: 0,
        block_bytes: 0,
        closed: false,
        in_batch: false,
    };
    let durable = extras.durable_distance.map_or(0, |d| (begin.position + first).saturating_sub(d));
    let mut walk = Walk {
        window,
        seed,
        begin,
        now,
        committed: now,
        index: Vec::new(),
        durable,
        holes: Vec::new(),
    };
    walk.run(skip_below, stop)?;
    walk.finish(first_offset)
}

fn empty(first: u64, nonzero_end: u64) -> Scan {
    Scan {
        begin: None,
        first_offset: first,
        end: first,
        entries: 0,
        last_id: EntryId::MIN,
        chain: 0,
        trimmed: EntryId::MIN,
        index: Vec::new(),
        closed: false,
        durable: 0,
        nonzero_end,
        frames_behind: false,
        holes: Vec::new(),
        last_block: None,
    }
}

/// Reads the Begin frame; `None` if there is no good one.
pub(crate) fn read_begin(
    window: &mut Window<'_>,
    seed: u32,
) -> Result<Option<(Begin, Extras, Header)>> {
    let at = FILE_HEADER as u64;
    let bytes = window.get(at, (HEADER + BLOCK_HEADER) as u64)?;
    let Some(header) = Header::decode(bytes, seed, at) else {
        return Ok(None);
    };
    if header.kind != Kind::Begin || at + header.frame_len() > window.file_len() {
        return Ok(None);
    }
    let bytes = window.get(at, header.frame_len())?;
    let Some(body) = header.body(bytes, seed, at) else {
        return Ok(None);
    };
    let mut within = 0;
    let begin = Extras::read(header.flags, body, &mut within)
        .and_then(|extras| Some((Begin::read(body, within)?, extras)));
    Ok(begin.map(|(begin, extras)| (begin, extras, header)))
}

impl Walk<'_> {
    fn run(&mut self, skip_below: u64, stop: u64) -> Result<()> {
        let mut at = self.now.end;
        loop {
            if at >= stop {
                return Ok(());
            }
            match self.step(at)? {
                Step::Next(next) => at = next,
                Step::Bad if at < skip_below => {
                    // A batch that the hole cuts is gone as a whole.
                    self.now = Point { end: at, block: None, in_batch: false, ..self.committed };
                    self.index.truncate(self.committed.blocks);
                    let Some(next) = self.next_block(at + ALIGN, skip_below)? else {
                        return Ok(());
                    };
                    let ids = (self.now.last_id, EntryId::MAX);
                    let ordinals = (self.now.entries, self.now.entries);
                    self.holes.push(Hole { from: at, to: next, ids, ordinals });
                    at = next;
                }
                Step::Bad => return Ok(()),
            }
        }
    }

    /// Looks at the frame at `at` and takes it in if it is good and follows what came before.
    fn step(&mut self, at: u64) -> Result<Step> {
        let room = self.window.file_len().saturating_sub(at);
        let bytes = self.window.get(at, (HEADER + BLOCK_HEADER) as u64)?;
        let Some(header) = Header::decode(bytes, self.seed, at) else {
            return Ok(Step::Bad);
        };
        if header.frame_len() > room {
            return Ok(Step::Bad);
        }
        let seed = self.seed;
        let bytes = self.window.get(at, header.frame_len())?;
        let Some(body) = header.body(bytes, seed, at) else {
            return Ok(Step::Bad);
        };
        let mut point = self.now;
        let Some((extras, block)) = take(&mut point, &header, body, at, &self.begin) else {
            return Ok(Step::Bad);
        };
        if let Some(distance) = extras.durable_distance {
            self.durable = self.durable.max((self.begin.position + at).saturating_sub(distance));
        }
        if let Some(block) = block {
            self.index.push(block);
            point.blocks = self.index.len();
            if let Some(hole) = self.holes.last_mut().filter(|hole| hole.to == at) {
                hole.ids.1 = block.id;
                hole.ordinals.1 = u64::from(block.ordinal);
            }
        }
        point.end = at + header.frame_len();
        point.chain = chain(point.chain, header.crc);
        self.now = point;
        if header.kind != Kind::Batch || header.flags & COMMIT != 0 {
            self.committed = point;
        }
        Ok(Step::Next(point.end))
    }

    /// The next place below `limit` with a whole good block start.
    fn next_block(&mut self, from: u64, limit: u64) -> Result<Option<u64>> {
        let mut at = from;
        while let Some(found) = next_frame(&mut self.window, self.seed, at, limit)? {
            if found.1.block.is_some() {
                return Ok(Some(found.0));
            }
            at = found.0 + ALIGN;
        }
        Ok(None)
    }

    fn finish(mut self, first_offset: u64) -> Result<Scan> {
        let done = self.committed;
        self.index.truncate(done.blocks);
        let nonzero_end = self.window.nonzero_end(done.end)?;
        let mut frames_behind = false;
        let mut at = done.end;
        while let Some((place, header)) = next_frame(&mut self.window, self.seed, at, nonzero_end)?
        {
            frames_behind = true;
            let bytes = self.window.get(place, header.frame_len())?;
            let body = header.body(bytes, self.seed, place).unwrap_or_default();
            if let Some(Extras { durable_distance: Some(distance), .. }) =
                Extras::read(header.flags, body, &mut 0)
            {
                let position = self.begin.position + place;
                self.durable = self.durable.max(position.saturating_sub(distance));
            }
            at = place + header.frame_len();
        }
        Ok(Scan {
            begin: Some(self.begin),
            first_offset,
            end: done.end,
            entries: done.entries,
            last_id: done.last_id,
            chain: done.chain,
            trimmed: done.trimmed,
            index: self.index,
            closed: done.closed,
            durable: self.durable,
            nonzero_end,
            frames_behind,
            holes: self.holes,
            last_block: done
                .block
                .map(|id| (id, done.entries - done.block_start, done.block_bytes)),
        })
    }
}

/// Whether a good frame behind the bad one at `at` proves that `at` was durable.
pub(crate) fn was_durable(window: &mut Window<'_>, seed: u32, at: u64) -> Result<bool> {
    let limit = window.nonzero_end(at)?;
    let mut from = at + ALIGN;
    while let Some((place, header)) = next_frame(window, seed, from, limit)? {
        let bytes = window.get(place, header.frame_len())?;
        let body = header.body(bytes, seed, place).unwrap_or_default();
        let extras = Extras::read(header.flags, body, &mut 0).unwrap_or_default();
        if extras.durable_distance.is_some_and(|d| place.saturating_sub(d) > at) {
            return Ok(true);
        }
        from = place + header.frame_len();
    }
    Ok(false)
}

/// The next good frame that begins in `from..limit`.
pub(crate) fn next_frame(
    window: &mut Window<'_>,
    seed: u32,
    from: u64,
    limit: u64,
) -> Result<Option<(u64, Header)>> {
    let mut at = from;
    while at < limit {
        let room = window.file_len().saturating_sub(at);
        let bytes = window.get(at, (HEADER + BLOCK_HEADER) as u64)?;
        if let Some(header) = Header::decode(bytes, seed, at)
            && header.frame_len() <= room
        {
            let bytes = window.get(at, header.frame_len())?;
            if header.body(bytes, seed, at).is_some() {
                return Ok(Some((at, header)));
            }
        }
        at += ALIGN;
    }
    Ok(None)
}

/// Applies a checked frame to the state; `None` if it cannot follow it.
fn take(
    point: &mut Point,
    header: &Header,
    body: &[u8],
    at: u64,
    begin: &Begin,
) -> Option<(Extras, Option<BlockStart>)> {
    let mut within = 0;
    let extras = Extras::read(header.flags, body, &mut within)?;
    point.closed = false;
    if point.in_batch && header.kind != Kind::Batch {
        return None;
    }
    point.in_batch = header.kind == Kind::Batch && header.flags & COMMIT == 0;
    match header.kind {
        Kind::Close => {
            point.closed = true;
            Some((extras, None))
        }
        Kind::Entry | Kind::Batch => {
            let mut start = None;
            if let Some((base, ordinal)) = header.block {
                let local = ordinal.checked_sub(begin.ordinal)?;
                // Behind a hole the count goes on where the block says.
                if local < point.entries || (local > point.entries && point.block.is_some()) {
                    return None;
                }
                point.entries = local;
                point.block = Some(base);
                point.block_start = local;
                point.block_bytes = 0;
                let (offset, ordinal) = (u32::try_from(at).ok()?, u32::try_from(local).ok()?);
                start = Some(BlockStart { id: base, offset, ordinal });
            }
            let mut entries = Entries::new(header, body, within, point.block?)?;
            while let Some((id, list)) = entries.next(body) {
                if id <= point.last_id {
                    return None;
                }
                point.block_bytes += list.len() as u64;
                point.last_id = id;
                point.entries += 1;
            }
            if entries.left() != 0 {
                return None;
            }
            if let Some(trim) = extras.trimmed {
                point.trimmed = point.trimmed.max(trim);
            }
            Some((extras, start))
        }
        _ => None,
    }
}
