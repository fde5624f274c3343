//! Segments of which the first bytes are damaged: the header, the first frame, or both.
//!
//! With damage being skipped, one bad sector does not cost all the frames behind it:
//! * Of the header only the salt stands nowhere else, and of the salt only the seed matters that
//!   the checksums start with. The rest of the header with the salt as it is gives the seed, if the
//!   salt is not what is damaged. Else the checksum of something that lies in a place where no
//!   entry can (the first frame, the trailer) tells from which seed it was counted, and a second
//!   checksum confirms it. That proves that the file is one piece, and not whose it is: it counts
//!   only if the chained checksum fits to a neighbour's.
//! * What the first frame says follows from the neighbours and the footer.

use super::*;
use crate::format::footer::{Footer, TRAILER};
use crate::format::frame::{ALIGN, Header};
use crate::storage::disk::Disk;

/// Such a segment.
pub(super) struct Headless {
    pub(super) path: PathBuf,
    pub(super) header: FileHeader,
    pub(super) seed: u32,
    /// The seed proves that it is a segment of this stream with this number.
    pub(super) certain: bool,
    pub(super) first: Option<First>,
    pub(super) footer: Option<Footer>,
}

impl Recovery<'_> {
    /// Notes a segment whose header fails its checks, if its frames can be read all the same.
    pub(super) fn without_header(
        &mut self,
        number: u64,
        generation: u32,
        path: PathBuf,
        file: &dyn DiskFile,
    ) -> Result<()> {
        let mut window = Window::new(file, &path)?;
        let header = FileHeader {
            generation,
            salt: FileHeader::salt(window.get(0, FILE_HEADER as u64)?),
            ..self.home.header(number)
        };
        let at = FILE_HEADER as u64;
        let first = Header::file_seed(window.get(at, 64)?, at);
        let len = window.file_len();
        let trailer = len.saturating_sub(TRAILER as u64);
        let last = Footer::file_seed(window.get(trailer, TRAILER as u64)?);
        // Something of another store is rather in the sector of the header.
        let seeds = [(Some(header.seed()), true), (last, false), (first, false)];
        for (seed, certain) in seeds {
            let Some(seed) = seed else { continue };
            let (first, footer) = (read_first(&mut window, seed)?, read_footer(file, seed));
            let (is_first, is_footer) = (first.is_some(), footer.is_some());
            let path = path.clone();
            let found = Headless { path, header, seed, certain, first, footer };
            if is_first || is_footer || (certain && found.first_block(file)?.is_some()) {
                self.headless.push(found);
                return Ok(());
            }
        }
        self.set_aside_damaged(path);
        Ok(())
    }

    /// Takes the segment in among the others, or sets it aside. Those before it are placed.
    pub(super) fn place(&mut self, one: Headless, all: &mut Vec<Candidate>) -> Result<()> {
        let number = one.header.number;
        let n = all.partition_point(|candidate| candidate.number < number);
        let (before, behind) = all.split_at_checked(n).unwrap_or_default();
        // A segment that was set aside may have followed it, too. The later one counts.
        let next = behind.iter().rev().find(|next| {
            let previous = next.begin().previous;
            let footer = one.footer.as_ref();
            previous.is_some_and(|(other, end)| {
                other == number && footer.is_none_or(|footer| footer.end == end)
            })
        });
        let mode = if self.known.read_only { OpenMode::Read } else { OpenMode::Write };
        let open = self.home.disk.open(&one.path, mode);
        let file = open.map_err(|e| Error::io("open", &one.path, e))?;
        let found = match &one.first {
            Some(first) => Some(first.clone()),
            None => one.first_from(&*file, before, next, &self.known)?,
        };
        let found = found.filter(|first| one.certain || one.fits(first, before, next));
        match found {
            Some(first) => {
                let disk = Arc::clone(&self.home.disk);
                all.insert(n, one.into_candidate(first, &*file, disk, mode)?);
            }
            None => self.set_aside_damaged(one.path),
        }
        Ok(())
    }
}

impl Headless {
    /// Whether the chained checksum goes on from one neighbour or to the other.
    fn fits(&self, first: &First, before: &[Candidate], next: Option<&Candidate>) -> bool {
        let ends = self.footer.as_ref().zip(next);
        let to_next = ends.is_some_and(|(footer, next)| footer.chain == next.begin().chain);
        let from_before = before.iter().any(|candidate| {
            let (number, end) = first.begin.previous.unwrap_or((u64::MAX, 0));
            let (_, chain) = candidate.last_id_and_chain();
            (candidate.number, candidate.end(), chain) == (number, end, first.begin.chain)
        });
        // What was made up from neighbours is no witness.
        to_next || (self.first.is_some() && from_before)
    }

    /// The segment with which the log was restarted last; `known`: as the journal says.
    fn restart(
        &self,
        before: &[Candidate],
        next: Option<&Candidate>,
        first_id: Option<EntryId>,
        known: u64,
    ) -> u64 {
        match (next.filter(|next| !next.restarts()), before.last()) {
            (Some(next), _) => next.begin().restart,
            _ if self.header.number >= known => known,
            // Nowhere else IDs go back.
            (None, Some(last)) if first_id.is_some_and(|id| id <= last.last_id_and_chain().0) => {
                self.header.number
            }
            (None, last) => last.map_or(0, |last| last.begin().restart),
        }
    }

    /// What the first frame must have said.
    fn first_from(
        &self,
        file: &dyn DiskFile,
        before: &[Candidate],
        next: Option<&Candidate>,
        known: &Known,
    ) -> Result<Option<First>> {
        let index = self.footer.as_ref().map(|footer| &footer.index[..]).unwrap_or_default();
        let block = self.first_block(file)?;
        let first_id = index.first().map(|block| block.id).or(block.map(|(id, _)| id));
        let restart = self.restart(before, next, first_id, known.restart);
        let restarts = restart != 0 && restart == self.header.number;
        // In front of a restart segments may have gone.
        let near = next.filter(|next| !next.restarts());
        let position = match next {
            Some(next) if near.is_some() || restarts => position_before(next),
            None if restarts => Some(self.restart_position(file, before, known.durable)?),
            _ => self.position_behind(before, next),
        };
        let Some(position) = position else {
            return Ok(None);
        };
        let behind = before.iter().rev().find(|one| end_of(one) == position);
        let last_id = match behind.filter(|_| !restarts) {
            Some(one) => one.last_id_and_chain().0,
            // Where the log was restarted, IDs do not go on from those before.
            None => {
                let told = (restarts && restart == known.restart).then_some(known.restarted_at);
                let most = first_id.map(|id| id.prev().unwrap_or_default());
                let most = most.or(near.map(|next| next.begin().last_id));
                most.into_iter().chain(told).min().unwrap_or_default()
            }
        };
        let counted = self.footer.as_ref().zip(near);
        let ordinal = match (counted, behind) {
            (Some((footer, next)), _) => next.begin().ordinal.checked_sub(footer.entries),
            // Where a restart lies may have been a guess, on which the next segment rests by now.
            (None, Some(one)) if !restarts => Some(ordinal_behind(one)),
            _ if position == 0 && !restarts => Some(0),
            _ => block.map(|(_, ordinal)| ordinal).or(before.last().map(ordinal_behind)),
        };
        let follows = |ordinal: &u64| block.is_none_or(|(id, n)| n >= *ordinal && id > last_id);
        let Some(ordinal) = ordinal.filter(follows) else {
            return Ok(None);
        };
        let previous = if restarts { kept(before, last_id) } else { behind };
        // Nobody knows where one ended that is gone. A restart may have had none before it.
        let gone = (position > 0 && !restarts).then(|| (self.header.number.saturating_sub(1), 0));
        let previous = previous.map(|one| (one.number, one.end())).or(gone);
        let (chain, name) = (0, Vec::new());
        let begin = Begin { previous, position, last_id, ordinal, chain, restart, name };
        let least = FILE_HEADER as u64 + ALIGN;
        let offset = index.first().map_or(least, |block| u64::from(block.offset));
        Ok(Some(First { begin, offset, chain: 0, durable: 0 }))
    }

    /// The position of a segment of which the next one does not tell it.
    fn position_behind(&self, before: &[Candidate], next: Option<&Candidate>) -> Option<u64> {
        match (before.last(), next) {
            // What has a footer has a successor, and so has what others follow on.
            (Some(last), Some(_)) => Some(end_of(last)),
            (Some(last), None) => matches!(last.content, Content::Sealed(_)).then(|| end_of(last)),
            (None, _) if self.header.number == 0 => Some(0),
            (None, next) => position_before(next?),
        }
    }

    /// The lowest position that a segment can have with which the log was restarted: behind all
    /// before it that are left, and so that it reaches up to what was `durable`.
    fn restart_position(
        &self,
        file: &dyn DiskFile,
        before: &[Candidate],
        durable: u64,
    ) -> Result<u64> {
        let end = match &self.footer {
            Some(footer) => footer.end,
            None => Window::new(file, &self.path)?
                .nonzero_end(FILE_HEADER as u64)?
                .next_multiple_of(ALIGN),
        };
        let least = before.iter().map(end_of).max().unwrap_or(0);
        Ok(least.max(durable.saturating_sub(end)))
    }

    /// The first block start that can be read: its ID and its number.
    fn first_block(&self, file: &dyn DiskFile) -> Result<Option<(EntryId, u64)>> {
        let mut window = Window::new(file, &self.path)?;
        let mut from = FILE_HEADER as u64;
        let end = window.nonzero_end(from)?;
        while let Some((at, header)) = next_frame(&mut window, self.seed, from, end)? {
            if header.block.is_some() {
                return Ok(header.block);
            }
            from = at + header.frame_len();
        }
        Ok(None)
    }

    fn into_candidate(
        self,
        first: First,
        file: &dyn DiskFile,
        disk: Arc<dyn Disk>,
        mode: OpenMode,
    ) -> Result<Candidate> {
        let content = match self.footer {
            Some(footer) => Content::Sealed(footer),
            None => {
                let bounds = Bounds::until(u64::MAX);
                let found = scan_behind(file, &self.path, self.seed, first.clone(), &bounds)?;
                Content::Scanned(Box::new(found))
            }
        };
        let damaged = match (&self.first, &content) {
            (Some(_), _) => Some(FILE_HEADER as u64),
            // What is not good in front of the first good frame is a hole by itself.
            (None, Content::Scanned(_)) => None,
            (None, Content::Sealed(_)) => Some(first.offset),
        };
        Ok(Candidate {
            number: self.header.number,
            path: self.path,
            disk,
            mode,
            header: self.header,
            seed: self.seed,
            first,
            content,
            hurt: true,
            headless: damaged,
        })
    }
}

/// The position of the segment before `next` if nothing was dropped between the two, and else the
/// highest that it can have.
fn position_before(next: &Candidate) -> Option<u64> {
    let (_, end) = next.begin().previous?;
    next.begin().position.checked_sub(end)
}

/// The position at which a segment ends.
fn end_of(one: &Candidate) -> u64 {
    one.begin().position.saturating_add(one.end())
}

/// How many entries were appended up to the end of a segment.
fn ordinal_behind(one: &Candidate) -> u64 {
    one.begin().ordinal.saturating_add(one.entries())
}

/// The segment that a restart which sets back to `last_id` lies behind: the newest that has
/// something at or below that. All the others were dropped; one of which everything up to there was
/// deleted was so, too, but nothing tells that.
fn kept(before: &[Candidate], last_id: EntryId) -> Option<&Candidate> {
    before.iter().rev().find(|one| one.begin().last_id < last_id)
}
