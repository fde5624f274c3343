//! Crash images: the states in which a power cut may leave the disk.
//!
//! From one [`Capture`] many images can be made. For each dirty sector the image holds the old or
//! the current bytes, for each length the old or the current one, and any of the changes of names
//! that were not synced. What was chosen is a [`Choice`], a plain value that can be changed and
//! made into an image again. The first two choices of a capture are always the extremes,
//! everything old and everything current; the others are drawn at random from the modes below.
//!
//! Two assumptions are stronger than "a dirty sector holds anything". A sector that was being
//! written may come back torn or as noise, but only within the bytes that changed: data that was
//! durable before and lies in the same sector is not harmed. (SQLite calls it powersafe overwrite;
//! no log that appends at byte granularity can do without.)

use super::disk::{Capture, SimDisk, World};
use super::file::{Dirty, FileCapture, FileState, PAGE, PageRef, Pages, SECTOR};
use super::file::{page_bytes, page_hash, page_of};
use super::names::{NodeId, ROOT, Tree};
use super::rng::{Rng, mix, mix_bytes};
use std::collections::BTreeMap;
use std::fmt;

/// How the sectors are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    AllOld,
    AllCurrent,
    /// Each dirty sector is current with this chance in a hundred.
    Sectors(u64),
    /// Everything current but one sector.
    AllButOne,
    /// Everything old but one sector.
    OnlyOne,
    /// As `Sectors`, by whole pages.
    Pages(u64),
    /// As `Sectors`, by whole files: the journal of one moment beside segments of another.
    Files(u64),
    /// Lengths and names change, bytes do not.
    OnlySizes,
    /// Extents that no sync made durable read as zero, also where bytes were written back.
    Unwritten(u64),
    /// As `Sectors`, and one of the dirty sectors is current only up to some byte.
    Torn(u64),
    /// As `Sectors`, and in one dirty sector the bytes that changed are noise.
    Noise(u64),
    /// As `Sectors`, and in one dirty sector each word of eight bytes is current with this chance:
    /// what a processor's cache gives to memory that keeps its bytes by itself.
    Words(u64),
}

impl Mode {
    fn treats_one_differently(self) -> bool {
        use Mode::{AllButOne, Noise, OnlyOne, Torn, Words};
        matches!(self, AllButOne | OnlyOne | Torn(_) | Noise(_) | Words(_))
    }
}

const RANDOM_MODES: &[Mode] = &[
    Mode::Sectors(10),
    Mode::Sectors(50),
    Mode::Sectors(50),
    Mode::Sectors(90),
    Mode::AllButOne,
    Mode::AllButOne,
    Mode::OnlyOne,
    Mode::Pages(50),
    Mode::Pages(90),
    Mode::Files(50),
    Mode::OnlySizes,
    Mode::Unwritten(90),
    Mode::Torn(50),
    Mode::Torn(90),
    Mode::Noise(50),
    Mode::Noise(90),
    Mode::Words(50),
    Mode::Words(90),
    Mode::AllOld,
    Mode::AllCurrent,
];

/// All that a power cut decides.
#[derive(Clone)]
pub struct Choice {
    /// What the rest was drawn by.
    pub mode: Mode,
    pub world: World,
    /// Which of the changes of names are there.
    pub names: Vec<bool>,
    /// One for each file of the capture.
    pub files: Vec<FileChoice>,
}

#[derive(Clone, Default)]
pub struct FileChoice {
    pub new_len: bool,
    /// Pages without a durable extent read as zero.
    pub unwritten: bool,
    /// For each dirty page the sectors that are current, one bit each.
    pub current: Vec<u8>,
    pub spoiled: Option<Box<Spoiled>>,
}

/// A sector that was being written when the power went.
#[derive(Clone)]
pub struct Spoiled {
    /// Which of the dirty pages, and which sector of it.
    pub page: usize,
    pub sector: usize,
    pub bytes: [u8; SECTOR],
}

impl Choice {
    /// The choice with this number; the same capture, number and seed give the same choice.
    pub fn make(capture: &Capture, number: u64, seed: u64) -> Choice {
        let mut rng = Rng::of(&[seed, capture.step, number]);
        let mode = match number {
            0 => Mode::AllOld,
            1 => Mode::AllCurrent,
            _ => rng.pick(RANDOM_MODES),
        };
        let world = after_the_cut(capture.world, &mut rng);
        Choice::with(capture, mode, &mut rng, world)
    }

    /// How many choices [`Choice::nth`] tells apart: each mix of what may be old or current, or
    /// where that is too many, each two of it the other way round than the rest.
    pub fn count(capture: &Capture) -> u64 {
        let units = units(capture).len() as u64;
        if units <= MOST_MIXED { 1 << units } else { 2 * (1 + units * units) }
    }

    /// One of all choices, without chance.
    pub fn nth(capture: &Capture, number: u64) -> Choice {
        let units = units(capture);
        let count = units.len() as u64;
        let is_current = |unit: u64| {
            if count <= MOST_MIXED {
                return number >> unit & 1 == 1;
            }
            let (turned, pair) = (number % 2 == 1, number / 2);
            let (one, other) = match pair.checked_sub(1) {
                None => (count, count),
                Some(pair) => (pair / count, pair % count),
            };
            turned != (unit == one || unit == other)
        };
        let mut choice = Choice::extreme(capture, Mode::AllOld);
        let current = units.iter().enumerate().filter(|(unit, _)| is_current(*unit as u64));
        for (_, place) in current {
            match *place {
                Unit::Name(name) => choice.names[name] = true,
                Unit::Len(file) => choice.files[file].new_len = true,
                Unit::Sector(file, page, sector) => choice.files[file].current[page] |= 1 << sector,
            }
        }
        choice
    }

    /// What a power cut leaves at least, or at most.
    pub fn extreme(capture: &Capture, mode: Mode) -> Choice {
        Choice::with(capture, mode, &mut Rng::of(&[0]), capture.world)
    }

    fn with(capture: &Capture, mode: Mode, rng: &mut Rng, world: World) -> Choice {
        let names = choose_names(capture.pending.len(), mode, rng);
        let mut files: Vec<FileChoice> =
            capture.files.values().map(|file| choose_file(file, mode, rng)).collect();
        if mode.treats_one_differently() {
            treat_one_differently(capture, &mut files, mode, rng);
        }
        Choice { mode, world, names, files }
    }
}

/// Up to so many things that may be old or current are mixed in all ways.
const MOST_MIXED: u64 = 8;

/// What may be old or current by itself.
enum Unit {
    Name(usize),
    /// Of this file.
    Len(usize),
    /// Of this file: the dirty page, and the sector of it.
    Sector(usize, usize, u32),
}

fn units(capture: &Capture) -> Vec<Unit> {
    let mut units: Vec<Unit> = (0..capture.pending.len()).map(Unit::Name).collect();
    for (number, file) in capture.files.values().enumerate() {
        if file.len != file.disk_len {
            units.push(Unit::Len(number));
        }
        for (page, dirty) in file.dirty.iter().enumerate() {
            let sectors = (0..8).filter(|sector| dirty.sectors >> sector & 1 == 1);
            units.extend(sectors.map(|sector| Unit::Sector(number, page, sector)));
        }
    }
    units
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept: String = self.names.iter().map(|kept| if *kept { '1' } else { '0' }).collect();
        let sectors = self.files.iter().flat_map(|file| &file.current);
        let current: u32 = sectors.map(|bits| bits.count_ones()).sum();
        write!(f, "{:?}: {current} dirty sectors are current, name changes [{kept}]", self.mode)
    }
}

fn choose_names(count: usize, mode: Mode, rng: &mut Rng) -> Vec<bool> {
    match mode {
        Mode::AllOld => vec![false; count],
        Mode::AllCurrent => vec![true; count],
        _ if rng.percent(30) => vec![true; count],
        _ if rng.percent(50) => {
            let prefix = rng.index(count + 1);
            (0..count).map(|index| index < prefix).collect()
        }
        _ => (0..count).map(|_| rng.percent(50)).collect(),
    }
}

fn choose_file(file: &FileCapture, mode: Mode, rng: &mut Rng) -> FileChoice {
    let new_len = match mode {
        Mode::AllOld => false,
        Mode::AllCurrent => true,
        _ => file.len == file.disk_len || rng.percent(60),
    };
    let mode = match mode {
        Mode::Files(share) if rng.percent(share) => Mode::AllCurrent,
        Mode::Files(_) => Mode::AllOld,
        other => other,
    };
    let current = file.dirty.iter().map(|dirty| choose_sectors(dirty, mode, rng));
    FileChoice {
        new_len,
        unwritten: matches!(mode, Mode::Unwritten(_)),
        current: current.collect(),
        spoiled: None,
    }
}

fn choose_sectors(dirty: &Dirty, mode: Mode, rng: &mut Rng) -> u8 {
    match mode {
        Mode::AllOld | Mode::OnlySizes | Mode::OnlyOne | Mode::Files(_) => 0,
        Mode::AllCurrent | Mode::AllButOne => dirty.sectors,
        Mode::Pages(share) | Mode::Unwritten(share) => match rng.percent(share) {
            true => dirty.sectors,
            false => 0,
        },
        Mode::Sectors(share) | Mode::Torn(share) | Mode::Noise(share) | Mode::Words(share) => {
            let one = |sector| u8::from(rng.percent(share)) << sector;
            dirty.sectors & (0..8).map(one).fold(0, |bits, bit| bits | bit)
        }
    }
}

/// One of all dirty sectors is the odd one out.
fn treat_one_differently(capture: &Capture, files: &mut [FileChoice], mode: Mode, rng: &mut Rng) {
    let pages = capture.files.values().flat_map(|file| &file.dirty);
    let count: u32 = pages.map(|dirty| dirty.sectors.count_ones()).sum();
    if count == 0 {
        return;
    }
    let mut left = rng.below(u64::from(count)) as u32;
    for (file, choice) in capture.files.values().zip(files) {
        for (page, dirty) in file.dirty.iter().enumerate() {
            let here = dirty.sectors.count_ones();
            if left >= here {
                left -= here;
                continue;
            }
            let mut sectors = (0..8).filter(|sector| dirty.sectors >> sector & 1 == 1);
            let sector = sectors.nth(left as usize).unwrap();
            if matches!(mode, Mode::AllButOne | Mode::OnlyOne) {
                choice.current[page] ^= 1 << sector;
            } else {
                let old = page_bytes(file.disk.get(dirty.index));
                let bytes = spoil(old, page_bytes(&dirty.page), sector, mode, rng);
                choice.spoiled = Some(Box::new(Spoiled { page, sector, bytes }));
            }
            return;
        }
    }
}

/// A sector that was being written when the power went.
fn spoil(
    old: &[u8; PAGE],
    new: &[u8; PAGE],
    sector: usize,
    mode: Mode,
    rng: &mut Rng,
) -> [u8; SECTOR] {
    let mut bytes = old.as_chunks::<SECTOR>().0[sector];
    let now = &new.as_chunks::<SECTOR>().0[sector];
    let differs = |index: &usize| bytes[*index] != now[*index];
    let first = (0..SECTOR).find(differs).unwrap_or(0);
    let last = (0..SECTOR).rfind(differs).unwrap_or(0);
    let changed = first..last + 1;
    match mode {
        Mode::Torn(_) => {
            let end = first + rng.index(changed.len() + 1);
            bytes[first..end].copy_from_slice(&now[first..end]);
        }
        Mode::Words(share) => {
            for (old, new) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(now.as_chunks().0) {
                if old != new && rng.percent(share) {
                    *old = *new;
                }
            }
        }
        _ => bytes[changed].fill_with(|| rng.next() as u8),
    }
    bytes
}

/// A disk after a power cut.
#[derive(Clone)]
pub struct Image {
    pub tree: Tree,
    files: BTreeMap<NodeId, (Pages, u64)>,
    pub world: World,
    /// Over the names, lengths and bytes that can be reached.
    pub hash: u64,
    /// Some change of names that the process had made is not there.
    pub lost_name: bool,
}

impl Image {
    /// The image of the choice with this number.
    pub fn make(capture: &Capture, number: u64, seed: u64) -> Image {
        Image::of(capture, &Choice::make(capture, number, seed))
    }

    pub fn extreme(capture: &Capture, mode: Mode) -> Image {
        Image::of(capture, &Choice::extreme(capture, mode))
    }

    pub fn of(capture: &Capture, choice: &Choice) -> Image {
        let mut tree = capture.durable.clone();
        for (op, _) in capture.pending.iter().zip(&choice.names).filter(|(_, kept)| **kept) {
            tree.apply(op);
        }
        let files = capture.files.iter().zip(&choice.files);
        let files = files.map(|((node, file), choice)| (*node, make_file(file, choice)));
        let files = files.collect();
        let hash = hash_tree(&tree, &files, ROOT, 0);
        let lost_name = choice.names.contains(&false);
        Image { tree, files, world: choice.world, hash, lost_name }
    }

    /// Starts the machine again.
    pub fn boot(&self) -> SimDisk {
        let files = self.files.iter();
        let files = files.map(|(node, (pages, len))| {
            let file = FileState::from_disk(pages.clone(), *len);
            (*node, file)
        });
        SimDisk::with(self.world, self.tree.clone(), files.collect())
    }
}

fn make_file(file: &FileCapture, choice: &FileChoice) -> (Pages, u64) {
    let mut pages = file.disk.clone();
    if choice.unwritten {
        for index in 0..file.len.max(file.disk_len).div_ceil(PAGE as u64) as u32 {
            if pages.get(index).is_some() && !file.firm.contains(index) {
                pages.set(index, None);
            }
        }
    }
    for (number, (dirty, current)) in file.dirty.iter().zip(&choice.current).enumerate() {
        if choice.unwritten && !file.firm.contains(dirty.index) {
            continue;
        }
        let spoiled = choice.spoiled.as_deref().filter(|spoiled| spoiled.page == number);
        let page = match (*current, spoiled) {
            (0, None) => continue,
            (bits, None) if bits == dirty.sectors => dirty.page.clone(),
            (bits, spoiled) => mixed(file.disk.get(dirty.index), dirty, bits, spoiled),
        };
        pages.set(dirty.index, page);
    }
    let len = if choice.new_len { file.len } else { file.disk_len };
    cut(&mut pages, file.len.max(file.disk_len), len);
    (pages, len)
}

fn mixed(old: &PageRef, dirty: &Dirty, current: u8, spoiled: Option<&Spoiled>) -> PageRef {
    let mut page = *page_bytes(old);
    let new = page_bytes(&dirty.page).as_chunks::<SECTOR>().0;
    for (sector, bytes) in page.as_chunks_mut::<SECTOR>().0.iter_mut().enumerate() {
        if let Some(spoiled) = spoiled.filter(|spoiled| spoiled.sector == sector) {
            *bytes = spoiled.bytes;
        } else if current >> sector & 1 == 1 {
            *bytes = new[sector];
        }
    }
    page_of(&page)
}

/// Beyond the end there is nothing, so that nothing comes back when the file grows again.
fn cut(pages: &mut Pages, from_len: u64, len: u64) {
    if len >= from_len {
        return;
    }
    let first = (len / PAGE as u64) as u32;
    let inside = (len % PAGE as u64) as usize;
    let mut page = *page_bytes(pages.get(first));
    page[inside..].fill(0);
    pages.set(first, page_of(&page));
    for index in first + 1..from_len.div_ceil(PAGE as u64) as u32 {
        pages.set(index, None);
    }
}

fn after_the_cut(before: World, rng: &mut Rng) -> World {
    let now_ms = match rng.below(20) {
        0..14 => before.now_ms + 1 + rng.below(5_000),
        14..17 => before.now_ms,
        _ => before.now_ms.saturating_sub(rng.below(20_000)),
    };
    World { seed: rng.next(), now_ms, ..before }
}

fn hash_tree(
    tree: &Tree,
    files: &BTreeMap<NodeId, (Pages, u64)>,
    dir: NodeId,
    mut hash: u64,
) -> u64 {
    for (name, node) in tree.list(dir) {
        hash = mix_bytes(hash, name.as_encoded_bytes());
        hash = match files.get(&node) {
            Some((pages, len)) => {
                let count = len.div_ceil(PAGE as u64) as u32;
                let hashes = (0..count).map(|index| page_hash(pages.get(index)));
                hashes.fold(mix(hash, *len), mix)
            }
            None => hash_tree(tree, files, node, mix(hash, 1)),
        };
    }
    mix(hash, 2)
}
