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
use crate::planted;
use std::path::Path;

mod holes;
mod window;
pub(crate) use holes::Hole;
pub(crate) use window::Window;

/// How far a walk goes, and what is known of the segment beside its frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'a> {
    /// A bad frame that begins below this offset is stepped over; the first other one ends the
    /// walk.
    pub(crate) skip_below: u64,
    /// Nothing at or behind this offset is taken in.
    pub(crate) stop: u64,
    /// All block starts, if they are known.
    pub(crate) index: Option<&'a [BlockStart]>,
    /// How many entries lie below `stop`, if that is known.
    pub(crate) entries: Option<u64>,
}

impl Bounds<'_> {
    /// Up to the first bad frame, or to an offset.
    pub(crate) fn until(stop: u64) -> Bounds<'static> {
        Bounds { skip_below: 0, stop, index: None, entries: None }
    }
}

/// The first frame of a segment, and what lies in front of the next one.
#[derive(Clone, Debug)]
pub(crate) struct First {
    pub(crate) begin: Begin,
    /// Where the frame behind it begins.
    pub(crate) offset: u64,
    /// The chained checksum up to there.
    pub(crate) chain: u64,
    /// The durable position that it proves.
    pub(crate) durable: u64,
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
    /// Some entry has the key of a producer.
    pub(crate) keyed: bool,
}

/// State that is taken back when a batch turns out to have no end.
#[derive(Clone, Copy)]
struct Point {
    end: u64,
    entries: u64,
    /// `entries` is the least that there can be: the next block start, or the end, tells.
    loose: bool,
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
    bounds: &'a Bounds<'a>,
    now: Point,
    committed: Point,
    index: Vec<BlockStart>,
    durable: u64,
    holes: Vec<Hole>,
    /// The hole behind which entries are counted from the least that there can be.
    loose: Option<usize>,
    /// How many more there are by a block start, which counts once the batch of that block is
    /// complete.
    told: Option<u64>,
    keyed: bool,
}

enum Step {
    Next(u64),
    /// With the frame's header if that passes its checks and all of the frame is there.
    Bad(Option<Header>),
}

/// Walks a segment.
///
/// # Errors
/// `Io` only; whatever the bytes are, they are described and not refused.
pub(crate) fn scan(
    file: &dyn DiskFile,
    path: &Path,
    seed: u32,
    bounds: &Bounds<'_>,
) -> Result<Scan> {
    let mut window = Window::new(file, path)?;
    let Some(first) = read_first(&mut window, seed)? else {
        let start = FILE_HEADER as u64;
        let nonzero_end = window.nonzero_end(start)?;
        return Ok(empty(start, nonzero_end));
    };
    scan_behind(file, path, seed, first, bounds)
}

/// [`scan`] of a segment of which the first frame is known, whatever lies in its place.
///
/// # Errors
/// `Io`.
pub(crate) fn scan_behind(
    file: &dyn DiskFile,
    path: &Path,
    seed: u32,
    first: First,
    bounds: &Bounds<'_>,
) -> Result<Scan> {
    let offset = first.offset;
    let mut walk = Walk::new(Window::new(file, path)?, seed, first, bounds);
    walk.run()?;
    walk.finish(offset)
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
        keyed: false,
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

/// Reads the first frame; `None` if there is no good one.
pub(crate) fn read_first(window: &mut Window<'_>, seed: u32) -> Result<Option<First>> {
    let Some((begin, extras, header)) = read_begin(window, seed)? else {
        return Ok(None);
    };
    let at = FILE_HEADER as u64;
    let position = begin.position.saturating_add(at);
    Ok(Some(First {
        offset: at + header.frame_len(),
        chain: chain(begin.chain, header.crc),
        durable: extras.durable_distance.map_or(0, |d| position.saturating_sub(d)),
        begin,
    }))
}

impl<'a> Walk<'a> {
    fn new(window: Window<'a>, seed: u32, first: First, bounds: &'a Bounds<'a>) -> Walk<'a> {
        let now = Point {
            end: first.offset,
            entries: 0,
            loose: false,
            last_id: first.begin.last_id,
            chain: first.chain,
            trimmed: EntryId::MIN,
            blocks: 0,
            block: None,
            block_start: 0,
            block_bytes: 0,
            closed: false,
            in_batch: false,
        };
        Walk {
            window,
            seed,
            begin: first.begin,
            bounds,
            now,
            committed: now,
            index: Vec::new(),
            durable: first.durable,
            holes: Vec::new(),
            loose: None,
            told: None,
            keyed: false,
        }
    }

    fn run(&mut self) -> Result<()> {
        let mut at = self.now.end;
        while at < self.bounds.stop {
            match self.step(at)? {
                Step::Next(next) => at = next,
                Step::Bad(header) if at < self.bounds.skip_below => {
                    at = self.step_over(at, header.as_ref())?;
                }
                Step::Bad(_) => break,
            }
        }
        Ok(())
    }

    /// The end of what a frame may cover.
    fn limit(&self) -> u64 {
        self.window.file_len().min(self.bounds.stop)
    }

    /// Looks at the frame at `at` and takes it in if it is good and follows what came before.
    fn step(&mut self, at: u64) -> Result<Step> {
        let room = self.limit().saturating_sub(at);
        let bytes = self.window.get(at, (HEADER + BLOCK_HEADER) as u64)?;
        let header = Header::decode(bytes, self.seed, at).filter(|h| h.frame_len() <= room);
        let Some(header) = header else {
            return Ok(Step::Bad(None));
        };
        let seed = self.seed;
        let bytes = self.window.get(at, header.frame_len())?;
        let mut point = self.now;
        let body = header.body(bytes, seed, at);
        let taken = body.and_then(|body| take(&mut point, &header, body, at, &self.begin));
        let fits = self.fits(&self.now, &header, self.uncounted(at), at);
        let Some(taken) = taken.filter(|_| fits) else {
            return Ok(Step::Bad(Some(header)));
        };
        if let Some(distance) = taken.extras.durable_distance {
            self.durable = self.durable.max((self.begin.position + at).saturating_sub(distance));
        }
        self.keyed |= taken.extras.keyed;
        if let Some(block) = taken.block {
            let more = u64::from(block.ordinal).saturating_sub(self.now.entries);
            self.told.get_or_insert(more);
            self.index.push(block);
            point.blocks = self.index.len();
        }
        if let Some(first) = taken.first {
            self.end_holes(first);
        }
        point.end = at + header.frame_len();
        point.chain = chain(point.chain, header.crc);
        self.now = point;
        let ends = header.kind != Kind::Batch || header.flags & COMMIT != 0;
        if ends || planted::commit_ignored() {
            self.committed = point;
            self.settle_told();
        }
        Ok(Step::Next(point.end))
    }

    fn finish(mut self, first_offset: u64) -> Result<Scan> {
        let done = self.committed;
        self.index.truncate(done.blocks);
        let entries = self.count_all(&done);
        // Behind a Close there is nothing as a rule. What a process that was killed had put there
        // is known to the system, whether it is on disk or not.
        let nonzero_end = match done.closed {
            true => self.window.nonzero_end_of_data(done.end)?,
            false => self.window.nonzero_end(done.end)?,
        };
        let mut frames_behind = false;
        let mut at = done.end;
        while let Some((place, header)) = next_frame(&mut self.window, self.seed, at, nonzero_end)?
        {
            frames_behind = true;
            let bytes = self.window.get(place, header.frame_len())?;
            if let Some(distance) = told_distance(&header, bytes, self.seed, place) {
                let position = self.begin.position + place;
                self.durable = self.durable.max(position.saturating_sub(distance));
            }
            at = place + header.frame_len();
        }
        Ok(Scan {
            begin: Some(self.begin),
            first_offset,
            end: done.end,
            entries,
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
            keyed: self.keyed,
        })
    }
}

/// Whether a good frame behind the bad one at `at` proves that `at` was durable.
pub(crate) fn was_durable(window: &mut Window<'_>, seed: u32, at: u64) -> Result<bool> {
    let limit = window.nonzero_end(at)?;
    let mut from = at + ALIGN;
    while let Some((place, header)) = next_frame(window, seed, from, limit)? {
        let bytes = window.get(place, header.frame_len())?;
        let distance = told_distance(&header, bytes, seed, place);
        if distance.is_some_and(|d| place.saturating_sub(d) > at) {
            return Ok(true);
        }
        from = place + header.frame_len();
    }
    Ok(false)
}

/// How far in front of a good frame lies what it says was durable.
fn told_distance(header: &Header, bytes: &[u8], seed: u32, place: u64) -> Option<u64> {
    let good = header.body(bytes, seed, place);
    let unchecked = || bytes.get(header.header_len()..);
    let body = if planted::durable_from_bad_frame() { unchecked() } else { good };
    Extras::read(header.flags, body?, &mut 0)?.durable_distance
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
            if header.body(bytes, seed, at).is_some() || planted::durable_from_bad_frame() {
                return Ok(Some((at, header)));
            }
        }
        at += ALIGN;
    }
    Ok(None)
}

/// What a frame added to the state.
struct Taken {
    extras: Extras,
    block: Option<BlockStart>,
    /// Its first entry.
    first: Option<EntryId>,
}

/// Applies a checked frame to the state; `None` if it cannot follow it.
fn take(point: &mut Point, header: &Header, body: &[u8], at: u64, begin: &Begin) -> Option<Taken> {
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
            Some(Taken { extras, block: None, first: None })
        }
        Kind::Entry | Kind::Batch => {
            let block = match header.block {
                Some((base, ordinal)) => Some(point.begin_block(base, ordinal, at, begin)?),
                None => None,
            };
            let mut first = None;
            let mut entries = Entries::new(header, body, within, point.block?)?;
            while let Some((id, list)) = entries.next(body) {
                if id <= point.last_id {
                    return None;
                }
                first = first.or(Some(id));
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
            Some(Taken { extras, block, first })
        }
        _ => None,
    }
}

impl Point {
    /// A block begins here; `None` if its number does not follow.
    fn begin_block(
        &mut self,
        base: EntryId,
        ordinal: u64,
        at: u64,
        begin: &Begin,
    ) -> Option<BlockStart> {
        let local = ordinal.checked_sub(begin.ordinal)?;
        // Behind a hole the count goes on where the block says.
        if local < self.entries || (local > self.entries && !self.loose) {
            return None;
        }
        let (offset, ordinal) = (u32::try_from(at).ok()?, u32::try_from(local).ok()?);
        self.entries = local;
        self.loose = false;
        self.block = Some(base);
        self.block_start = local;
        self.block_bytes = 0;
        Some(BlockStart { id: base, offset, ordinal })
    }
}
