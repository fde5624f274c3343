//! Crash images: the states in which a power cut may leave the disk.
//!
//! From one [`Capture`] many images can be made. For each dirty sector the image holds the old or
//! the current bytes, for each length the old or the current one, and any of the changes of names
//! that were not synced. The first two images of a capture are always the extremes, everything old
//! and everything current; the others are drawn at random from the modes below.
//!
//! Two assumptions are stronger than "a dirty sector holds anything". A sector that was being
//! written may come back torn or as noise, but only within the bytes that changed: data that was
//! durable before and lies in the same sector is not harmed. (SQLite calls it powersafe overwrite;
//! no log that appends at byte granularity can do without.)

use super::disk::{Capture, SimDisk, World};
use super::file::{FileCapture, FileState, PAGE, PageRef, Pages, SECTOR};
use super::file::{page_bytes, page_hash, page_of};
use super::names::{NodeId, ROOT, Tree, apply};
use super::rng::{Rng, mix, mix_bytes};
use std::collections::BTreeMap;
use std::fmt::Write;

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
    /// Lengths and names change, bytes do not.
    OnlySizes,
    /// Extents that no sync made durable read as zero, also where bytes were written back.
    Unwritten(u64),
    /// As `Sectors`, and one of the dirty sectors is current only up to some byte.
    Torn(u64),
    /// As `Sectors`, and in one dirty sector the bytes that changed are noise.
    Noise(u64),
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
    Mode::OnlySizes,
    Mode::Unwritten(90),
    Mode::Torn(50),
    Mode::Torn(90),
    Mode::Noise(50),
    Mode::Noise(90),
    Mode::AllOld,
    Mode::AllCurrent,
];

/// A disk after a power cut.
#[derive(Clone)]
pub struct Image {
    pub tree: Tree,
    files: BTreeMap<NodeId, (Pages, u64)>,
    pub world: World,
    /// Over the names, lengths and bytes that can be reached.
    pub hash: u64,
    /// The choices that were made, for people.
    pub choices: String,
    /// Some change of names that the process had made is not there.
    pub lost_name: bool,
}

/// What one image is made with: the choices for names and lengths.
struct Dice {
    rng: Rng,
    mode: Mode,
}

impl Dice {
    fn tree(&mut self, capture: &Capture, choices: &mut String) -> (Tree, bool) {
        let mut tree = capture.durable.clone();
        let pending = &capture.pending;
        let kept: Vec<bool> = match self.mode {
            Mode::AllOld => vec![false; pending.len()],
            Mode::AllCurrent => vec![true; pending.len()],
            _ if self.rng.percent(30) => vec![true; pending.len()],
            _ if self.rng.percent(50) => {
                let prefix = self.rng.index(pending.len() + 1);
                (0..pending.len()).map(|index| index < prefix).collect()
            }
            _ => pending.iter().map(|_| self.rng.percent(50)).collect(),
        };
        for (op, kept) in pending.iter().zip(&kept) {
            if *kept {
                apply(&mut tree, op);
            }
        }
        let count = kept.iter().filter(|kept| **kept).count();
        write!(choices, ", {count} of {} name changes", pending.len()).unwrap();
        if count > 0 && count < kept.len() {
            let which: String = kept.iter().map(|kept| if *kept { '1' } else { '0' }).collect();
            write!(choices, " ({which})").unwrap();
        }
        (tree, count < kept.len())
    }

    fn len(&mut self, file: &FileCapture) -> u64 {
        let current = match self.mode {
            Mode::AllOld => false,
            Mode::AllCurrent => true,
            _ => self.rng.percent(60),
        };
        if current { file.len } else { file.disk_len }
    }

    /// The chance in a hundred that a sector or a page is current.
    fn share(&self) -> u64 {
        match self.mode {
            Mode::AllOld | Mode::OnlySizes | Mode::OnlyOne => 0,
            Mode::AllCurrent | Mode::AllButOne => 100,
            Mode::Sectors(share) | Mode::Pages(share) => share,
            Mode::Unwritten(share) | Mode::Torn(share) | Mode::Noise(share) => share,
        }
    }

    /// The sector, counted over all files, that is treated differently from the others.
    fn odd_one(&mut self, dirty: u64) -> Option<u64> {
        let one =
            matches!(self.mode, Mode::AllButOne | Mode::OnlyOne | Mode::Torn(_) | Mode::Noise(_));
        (one && dirty > 0).then(|| self.rng.below(dirty))
    }

    /// One dirty page after the cut. `odd` is the sector of the page (counted over its dirty ones)
    /// that is treated differently.
    fn page(&mut self, old: &PageRef, new: &PageRef, odd: Option<u64>) -> PageRef {
        let share = self.share();
        if matches!(self.mode, Mode::Pages(_) | Mode::Unwritten(_)) {
            let current = self.rng.percent(share);
            return if current { new.clone() } else { old.clone() };
        }
        if odd.is_none() && (share == 0 || share == 100) {
            return if share == 0 { old.clone() } else { new.clone() };
        }
        let mut page = *page_bytes(old);
        for (count, sector) in dirty_sectors(old, new).enumerate() {
            let at = sector * SECTOR..(sector + 1) * SECTOR;
            let was: [u8; SECTOR] = page[at.clone()].try_into().unwrap();
            let now = &page_bytes(new)[at.clone()];
            let is_odd = odd == Some(count as u64);
            let current = self.rng.percent(share) != (is_odd && !self.is_mixed());
            let to = &mut page[at];
            if is_odd && self.is_mixed() {
                self.spoil(to, &was, now);
            } else if current {
                to.copy_from_slice(now);
            }
        }
        page_of(&page)
    }

    fn is_mixed(&self) -> bool {
        matches!(self.mode, Mode::Torn(_) | Mode::Noise(_))
    }

    /// A sector that was being written when the power went.
    fn spoil(&mut self, to: &mut [u8], was: &[u8], now: &[u8]) {
        let differs = |index: &usize| was[*index] != now[*index];
        let first = (0..SECTOR).find(differs).unwrap_or(0);
        let last = (0..SECTOR).rfind(differs).unwrap_or(0);
        let changed = first..last + 1;
        if matches!(self.mode, Mode::Torn(_)) {
            let end = first + self.rng.index(changed.len() + 1);
            to[first..end].copy_from_slice(&now[first..end]);
        } else {
            for byte in &mut to[changed] {
                *byte = self.rng.next() as u8;
            }
        }
    }
}

fn dirty_sectors(old: &PageRef, new: &PageRef) -> impl Iterator<Item = usize> {
    let (old, new) = (page_bytes(old), page_bytes(new));
    (0..PAGE / SECTOR).filter(move |sector| {
        let at = sector * SECTOR..(sector + 1) * SECTOR;
        old[at.clone()] != new[at]
    })
}

fn count_dirty(file: &FileCapture) -> u64 {
    let pages = file.dirty.iter();
    pages.map(|(index, new)| dirty_sectors(file.disk.get(*index), new).count() as u64).sum()
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

impl Image {
    /// The image with this number; the same capture, number and seed give the same image.
    pub fn make(capture: &Capture, number: u64, seed: u64) -> Image {
        let mut rng = Rng::of(&[seed, capture.step, number]);
        let mode = match number {
            0 => Mode::AllOld,
            1 => Mode::AllCurrent,
            _ => rng.pick(RANDOM_MODES),
        };
        let world = after_the_cut(capture.world, &mut rng);
        Image::with(capture, mode, rng, world)
    }

    /// What a power cut leaves at least, or at most.
    pub fn extreme(capture: &Capture, mode: Mode) -> Image {
        Image::with(capture, mode, Rng::of(&[0]), capture.world)
    }

    fn with(capture: &Capture, mode: Mode, rng: Rng, world: World) -> Image {
        let mut dice = Dice { rng, mode };
        let mut choices = format!("{mode:?}");
        let (tree, lost_name) = dice.tree(capture, &mut choices);
        let dirty = capture.files.values().map(count_dirty).sum();
        write!(choices, ", {dirty} dirty sectors").unwrap();
        let odd = dice.odd_one(dirty);
        let mut seen = 0;
        let mut files = BTreeMap::new();
        for (node, file) in &capture.files {
            let made = make_file(file, &mut dice, odd, &mut seen);
            files.insert(*node, made);
        }
        let hash = hash_tree(&tree, &files, ROOT, 0);
        Image { tree, files, world, hash, choices, lost_name }
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

fn make_file(
    file: &FileCapture,
    dice: &mut Dice,
    odd: Option<u64>,
    seen: &mut u64,
) -> (Pages, u64) {
    let mut pages = file.disk.clone();
    if matches!(dice.mode, Mode::Unwritten(_)) {
        for index in 0..file.len.max(file.disk_len).div_ceil(PAGE as u64) as u32 {
            if pages.get(index).is_some() && !file.firm.contains(&index) {
                pages.set(index, None);
            }
        }
    }
    for (index, new) in &file.dirty {
        let old = file.disk.get(*index);
        let count = dirty_sectors(old, new).count() as u64;
        let here = odd.and_then(|odd| odd.checked_sub(*seen));
        *seen += count;
        let chosen = dice.page(old, new, here.filter(|odd| *odd < count));
        if page_hash(&chosen) != page_hash(old) && keeps(dice, file, index) {
            pages.set(*index, chosen);
        }
    }
    let len = dice.len(file);
    cut(&mut pages, file.len.max(file.disk_len), len);
    (pages, len)
}

/// Whether a page that was written without a sync is there at all.
fn keeps(dice: &Dice, file: &FileCapture, index: &u32) -> bool {
    !matches!(dice.mode, Mode::Unwritten(_)) || file.firm.contains(index)
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
    let inside = tree.range((dir, std::ffi::OsString::new())..);
    for ((_, name), node) in inside.take_while(|((parent, _), _)| *parent == dir) {
        hash = mix_bytes(hash, name.as_encoded_bytes());
        hash = match files.get(node) {
            Some((pages, len)) => {
                let count = len.div_ceil(PAGE as u64) as u32;
                let hashes = (0..count).map(|index| page_hash(pages.get(index)));
                hashes.fold(mix(hash, *len), mix)
            }
            None => hash_tree(tree, files, *node, mix(hash, 1)),
        };
    }
    mix(hash, 2)
}
