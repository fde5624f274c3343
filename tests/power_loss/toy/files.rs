//! The files of the toy: how a record is written, and how a file is read and made.

use super::super::disk::SimDisk;
use super::super::plan::Config;
use super::super::rng::mix_bytes;
use super::DIR;
use super::state::{Change, ToyState};
use crate::storage::disk::{Disk, DiskFile, OpenMode};
use crate::storage::region::RegionWriter;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const RECORD_HEADER: usize = 16;

pub fn record(number: u64, offset: u64, changes: &[Change]) -> Vec<u8> {
    let mut payload = Vec::new();
    changes.iter().for_each(|change| change.encode(&mut payload));
    let mut bytes = (payload.len() as u64 | 1 << 63).to_le_bytes().to_vec();
    bytes.extend(checksum(number, offset, &payload).to_le_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn checksum(number: u64, offset: u64, payload: &[u8]) -> u64 {
    mix_bytes(number ^ offset << 32, payload)
}

/// A file that records are appended to.
pub struct LogFile {
    pub file: Arc<dyn DiskFile>,
    pub writer: RegionWriter,
    pub tail: u64,
    pub size: u64,
}

pub struct Read {
    pub state: ToyState,
    pub tail: u64,
    pub clean: bool,
}

pub fn read_file(file: &dyn DiskFile, number: u64, planted: &str) -> io::Result<Read> {
    let mut bytes = vec![0; file.len()? as usize];
    file.read_at(&mut bytes, 0)?;
    let mut state = ToyState::default();
    let mut tail = 0;
    while let Some(end) = read_record(&bytes, tail, number, planted, &mut state) {
        tail = end;
    }
    let clean = bytes[tail..].iter().all(|byte| *byte == 0);
    Ok(Read { state, tail: tail as u64, clean })
}

fn read_record(
    bytes: &[u8],
    at: usize,
    number: u64,
    planted: &str,
    state: &mut ToyState,
) -> Option<usize> {
    let (len, rest) = bytes.get(at..)?.split_first_chunk::<8>()?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    let len = u64::from_le_bytes(*len).checked_sub(1 << 63)? as usize;
    let mut payload = rest.get(..len)?;
    let right = u64::from_le_bytes(*sum) == checksum(number, at as u64, payload);
    if !right && planted != "no checksum" {
        return None;
    }
    while !payload.is_empty() {
        state.apply(&Change::decode(&mut payload)?)?;
    }
    Some((at + RECORD_HEADER + len).next_multiple_of(8))
}

pub fn path_of(number: u64) -> PathBuf {
    Path::new(DIR).join(format!("{number:06}.log"))
}

/// A file with the whole state in its first record, and room for `more` bytes besides.
pub fn write_file(
    disk: &SimDisk,
    config: &Config,
    state: &ToyState,
    number: u64,
    more: u64,
) -> io::Result<LogFile> {
    let first = record(number, 0, &state.snapshot(config.planted));
    let (temporary, path) = (Path::new(DIR).join("next.tmp"), path_of(number));
    let size = (first.len() as u64 + more + 512).max(config.segment_bytes);
    let size = size.next_multiple_of(4096);
    match disk.remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.open(&temporary, OpenMode::CreateNew)?;
    file.allocate(size)?;
    let region = Arc::new(file.map(size, true)?);
    let mut writer = region.writer().ok_or_else(|| io::Error::other("two writers"))?;
    writer.write(0, &first)?;
    if config.planted != "no sync before the rename" {
        file.sync()?;
    }
    if config.planted == "old file removed before the rename" && number > 1 {
        disk.remove_file(&path_of(number - 1))?;
        disk.sync_dir(Path::new(DIR))?;
    }
    disk.rename(&temporary, &path)?;
    if config.planted != "no sync of the directory" {
        disk.sync_dir(Path::new(DIR))?;
    }
    if number > 1 && config.planted != "old file removed before the rename" {
        disk.remove_file(&path_of(number - 1))?;
    }
    Ok(LogFile { file, writer, tail: first.len() as u64, size })
}
