//! All that is done to the files: every case has a number.

use super::fixture::{Fixture, HEADER};
use super::image::{Image, Odd, mix};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub const SECTOR: usize = 512;
/// What is done to each byte: eight flips, 0, 255, one more.
const BYTE_KINDS: usize = 11;
const SECTOR_KINDS: usize = 5;
const EXTENSIONS: [usize; 3] = [1, 511, 4096];
/// Extensions by zeros and by random bytes, then things that happen to a whole file.
const FILE_KINDS: usize = 2 * EXTENSIONS.len() + 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectorHarm {
    Zeros,
    Random,
    /// Trades places with another sector of the file.
    Swapped,
    /// As it was in the store some time before.
    Older,
    /// That of another store.
    Foreign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Byte {
        at: usize,
        to: u8,
    },
    Sector {
        at: usize,
        harm: SectorHarm,
    },
    Cut {
        len: usize,
    },
    Longer {
        by: usize,
        random: bool,
    },
    Missing,
    /// Its bytes lie under the next name, too.
    Twice,
    Odd(Odd),
}

/// One case.
#[derive(Clone, Debug)]
pub struct Harm {
    pub number: usize,
    pub path: PathBuf,
    pub what: What,
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "case {}: {} {:?}", self.number, self.path.display(), self.what)
    }
}

/// The files and how many cases each of them has.
pub struct Cases {
    files: Vec<(PathBuf, usize, usize)>,
    pub total: usize,
}

fn sectors(len: usize) -> usize {
    len.div_ceil(SECTOR)
}

impl Cases {
    pub fn of(image: &Image) -> Cases {
        let mut files = Vec::new();
        let mut total = 0;
        for (path, bytes) in &image.files {
            let len = bytes.len();
            let count = len * BYTE_KINDS + sectors(len) * SECTOR_KINDS + len + FILE_KINDS;
            files.push((path.clone(), len, total));
            total += count;
        }
        Cases { files, total }
    }

    /// The numbers of the cases of the files whose paths contain a text.
    pub fn of_files(&self, text: &str) -> impl Iterator<Item = usize> + '_ {
        let ends = self.files.iter().skip(1).map(|(.., first)| *first).chain([self.total]);
        let wanted = self
            .files
            .iter()
            .zip(ends)
            .filter(|((path, ..), _)| path.to_str().is_some_and(|path| path.contains(text)));
        wanted.flat_map(|((.., first), end)| *first..end).collect::<Vec<_>>().into_iter()
    }

    fn file_of(&self, number: usize) -> &(PathBuf, usize, usize) {
        &self.files[self.files.partition_point(|(_, _, first)| *first <= number) - 1]
    }

    /// So many times as many as of the others are to be looked at where not all are: of what happens
    /// to sectors and whole files there are few cases, and headers and footers are short.
    pub fn weight(&self, number: usize) -> usize {
        let (_, len, first) = self.file_of(number);
        let (n, bytes, sectors) = (number - first, len * BYTE_KINDS, sectors(*len) * SECTOR_KINDS);
        let at = n / BYTE_KINDS;
        match n {
            _ if n < bytes && (at < HEADER || at + SECTOR >= *len) => 8,
            _ if n < bytes || (bytes + sectors..bytes + sectors + len).contains(&n) => 1,
            _ => 40,
        }
    }

    pub fn get(&self, number: usize, image: &Image) -> Harm {
        let (path, len, first) = self.file_of(number);
        let what = kind(number - first, *len, &image.files[path]);
        Harm { number, path: path.clone(), what }
    }
}

fn kind(mut n: usize, len: usize, bytes: &[u8]) -> What {
    if n < len * BYTE_KINDS {
        let at = n / BYTE_KINDS;
        let was = bytes[at];
        let to = match n % BYTE_KINDS {
            bit @ 0..8 => was ^ (1 << bit),
            8 => 0,
            9 => 0xff,
            _ => was.wrapping_add(1),
        };
        return What::Byte { at, to };
    }
    n -= len * BYTE_KINDS;
    if n < sectors(len) * SECTOR_KINDS {
        let harms = [
            SectorHarm::Zeros,
            SectorHarm::Random,
            SectorHarm::Swapped,
            SectorHarm::Older,
            SectorHarm::Foreign,
        ];
        return What::Sector { at: n / SECTOR_KINDS * SECTOR, harm: harms[n % SECTOR_KINDS] };
    }
    n -= sectors(len) * SECTOR_KINDS;
    if n < len {
        return What::Cut { len: n };
    }
    n -= len;
    if let Some(by) = EXTENSIONS.get(n / 2) {
        return What::Longer { by: *by, random: n % 2 == 1 };
    }
    match n - 2 * EXTENSIONS.len() {
        0 => What::Missing,
        1 => What::Twice,
        2 => What::Odd(Odd::Dir),
        3 => What::Odd(Odd::Link),
        _ => What::Odd(Odd::Unreadable),
    }
}

/// The next name in a directory: the last number in it counts on.
fn next_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap().to_str().unwrap();
    let (number, rest) = match name.split_once('.') {
        Some((number, rest)) => (number, format!(".{rest}")),
        None => (name, String::new()),
    };
    match number.parse::<u64>() {
        Ok(n) => path.with_file_name(format!("{:0width$}{rest}", n + 1, width = number.len())),
        Err(_) => path.with_file_name(format!("{name}.1")),
    }
}

/// What a case leaves.
pub struct Harmed {
    pub image: Image,
    /// The file that is not what it was.
    pub path: PathBuf,
    /// The bytes of it that differ, or that are gone. Empty if all are what they were.
    pub changed: Vec<Range<usize>>,
}

fn random(from: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|n| (mix(from ^ (n << 20)) >> 17) as u8).collect()
}

/// Where two versions of a file differ, by stretches.
fn differences(old: &[u8], new: &[u8]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let same = |at: usize| new.get(at) == old.get(at);
    let mut at = 0;
    while at < old.len() {
        if same(at) {
            at += 1;
            continue;
        }
        let from = at;
        while at < old.len() && !same(at) {
            at += 1;
        }
        match found.last_mut() {
            // A few equal bytes between do not make two of one.
            Some(last) if from - last.end < 8 => last.end = at,
            _ => found.push(from..at),
        }
    }
    found
}

impl Harm {
    /// `None` if the files are what they were.
    pub fn apply(&self, fixture: &Fixture) -> Option<Harmed> {
        let mut image = fixture.image.clone();
        let old = image.files[&self.path].clone();
        let seed = self.number as u64;
        let mut bytes = old.to_vec();
        let mut path = self.path.clone();
        match self.what {
            What::Byte { at, to } => bytes[at] = to,
            What::Sector { at, harm } => {
                self.harm_sector(fixture, &mut bytes, at, harm)?;
            }
            What::Cut { len } => bytes.truncate(len),
            What::Longer { by, random: false } => bytes.extend(vec![0; by]),
            What::Longer { by, random: true } => bytes.extend(random(seed, by)),
            What::Missing => {
                image.files.remove(&self.path);
                return Some(Harmed { image, path, changed: whole(&old) });
            }
            What::Odd(odd) => {
                image.odd = Some((self.path.clone(), odd));
                return Some(Harmed { image, path, changed: whole(&old) });
            }
            What::Twice => {
                path = next_name(&self.path);
                let before = image.files.get(&path).cloned();
                image.files.insert(path.clone(), old);
                let changed = before.map_or_else(Vec::new, |bytes| whole(&bytes));
                return Some(Harmed { image, path, changed });
            }
        }
        if bytes[..] == old[..] {
            return None;
        }
        let changed = differences(&old, &bytes);
        image.files.insert(path.clone(), bytes.into());
        Some(Harmed { image, path, changed })
    }

    fn harm_sector(
        &self,
        fixture: &Fixture,
        bytes: &mut [u8],
        at: usize,
        harm: SectorHarm,
    ) -> Option<()> {
        let end = (at + SECTOR).min(bytes.len());
        let seed = self.number as u64;
        match harm {
            SectorHarm::Zeros => bytes[at..end].fill(0),
            SectorHarm::Random => bytes[at..end].copy_from_slice(&random(seed, end - at)),
            SectorHarm::Swapped => {
                let whole = bytes.len() / SECTOR;
                let other = (mix(seed) as usize).checked_rem(whole)? * SECTOR;
                if end - at < SECTOR {
                    return None;
                }
                for n in 0..SECTOR {
                    bytes.swap(at + n, other + n);
                }
            }
            SectorHarm::Older | SectorHarm::Foreign => {
                let of = if harm == SectorHarm::Older { &fixture.older } else { &fixture.other };
                let other = of.files.get(&self.path)?.get(at..)?;
                let len = other.len().min(end - at);
                bytes[at..at + len].copy_from_slice(&other[..len]);
            }
        }
        Some(())
    }
}

fn whole(bytes: &[u8]) -> Vec<Range<usize>> {
    if bytes.is_empty() { Vec::new() } else { std::iter::once(0..bytes.len()).collect() }
}
