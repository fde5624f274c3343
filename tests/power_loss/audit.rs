//! What lies on disk after the crate has opened it, against what the crate reports (C13).
//!
//! Nothing is left over that nobody knows of: no temporary file, no directory without a stream, no
//! segment beside its stream that the report does not name, no byte behind the end of a log that
//! is not reported as cut, no journal file that was set aside but for a torn header. And a power
//! cut alone is never reported as damage.

use super::call::{Name, Report};
use super::disk::SimDisk;
use crate::RecoveryReport;
use crate::format::header::{FILE_HEADER, FileHeader};
use crate::store::Store;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub fn report(store: &Store, disk: &SimDisk) -> Result<Report, String> {
    let report = store.recovery();
    no_damage(&report)?;
    let dir = Path::new("/store");
    let paths = disk.paths();
    if let Some(left) = paths.iter().find(|path| path.extension().is_some_and(|e| e == "tmp")) {
        return Err(format!("{} was left behind", left.display()));
    }
    let mut known: BTreeSet<PathBuf> =
        ["", "LOCK", "STORE", "state", "state/0", "state/1", "state/2", "streams"]
            .iter()
            .map(|name| if name.is_empty() { dir.to_owned() } else { dir.join(name) })
            .collect();
    for stream in store.shared().all_streams() {
        let Some(log) = stream.open_log() else {
            continue;
        };
        known.insert(log.home.dir.clone());
        let segments = log.segments();
        for (number, segment) in segments.iter().enumerate() {
            known.insert(segment.path.clone());
            if number + 1 < segments.len() {
                // What lies behind the end that the next segment records was reported when it was
                // cut, or is a footer.
                continue;
            }
            let rest = disk.nonzero_behind(&segment.path, segment.end());
            let cut = report.streams.iter().filter_map(|stream| stream.cut.as_ref());
            let mut cut = cut.filter(|cut| cut.path == segment.path);
            let told = cut.any(|cut| cut.offset == segment.end() && cut.bytes == rest);
            if rest > 0 && !told {
                let (path, end) = (segment.path.display(), segment.end());
                return Err(format!("{rest} bytes behind {end} in {path} are not reported"));
            }
        }
    }
    let aside = report.streams.iter().flat_map(|stream| &stream.set_aside);
    known.extend(aside.cloned());
    let journal = &report.journal.set_aside;
    known.extend(journal.iter().filter(|path| !has_header(disk, path)).cloned());
    if let Some(stray) = paths.iter().find(|path| !known.contains(*path)) {
        return Err(format!("{} is nobody's", stray.display()));
    }
    Ok(told(&report))
}

/// Whether a file begins with a good header. A journal file is set aside whose header cannot be
/// read, as nothing tells one that the power cut tore from one that is damaged; and no other one.
fn has_header(disk: &SimDisk, path: &Path) -> bool {
    let mut header = [0; FILE_HEADER];
    disk.peek(path, &mut header).is_ok() && FileHeader::decode(&header).is_ok()
}

/// What the crate's report says in the words of the model.
pub fn told(report: &RecoveryReport) -> Report {
    let name = |bytes: &[u8]| Name(bytes.to_vec());
    let taken_back = report.clamped.iter();
    let taken_back =
        taken_back.map(|group| (name(&group.stream), name(&group.group), group.from, group.to));
    Report { tells_of_groups: true, taken_back: taken_back.collect() }
}

fn no_damage(report: &RecoveryReport) -> Result<(), String> {
    let gaps = report.streams.iter().any(|stream| !stream.gaps.is_empty());
    let strays = report.streams.iter().any(|stream| !stream.strays.is_empty());
    let wrong = gaps
        || strays
        || !report.strays.is_empty()
        || !report.lost.is_empty()
        || !report.journal.gaps.is_empty();
    match wrong {
        true => Err(format!("a power cut is reported as damage: {report:?}")),
        false => Ok(()),
    }
}
