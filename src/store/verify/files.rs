//! What became of the STORE file and of the state journal since the store was opened.

use super::known::of_store;
use super::*;
use crate::format::header::STORE_FILE;
use crate::journal::{self, JournalRecovery, Place};
use crate::storage::disk::Disk;
use crate::storage::overlay::Overlay;
use crate::store::open::{make_dir, read_uuid};
use std::sync::Arc;

impl Store {
    /// The STORE file, as it was when the store was opened and as it is.
    pub(super) fn verify_store_file(&self, findings: &mut Vec<Finding>) -> Result<()> {
        let shared = self.shared();
        let path = shared.dir.join(name::STORE);
        let below = shared.disk.below();
        let (from, now) = (
            shared.report.lock().uuid_from.clone(),
            read_uuid(&**below.as_ref().unwrap_or(&shared.disk), &path),
        );
        let mut what = match now {
            Ok(uuid) if uuid == shared.uuid && from.is_none() => return Ok(()),
            Ok(uuid) if uuid == shared.uuid => "the STORE file could not be read".to_owned(),
            Ok(_) => "the STORE file is another store's".to_owned(),
            Err(error) if error.is_missing_file() => "the STORE file is missing".to_owned(),
            Err(error) if error.is_corruption() || from.is_some() => {
                format!("the STORE file cannot be read ({})", error.reason())
            }
            Err(error) => return Err(error),
        };
        if let Some(from) = from {
            what = format!("{what}; which store this is was taken from {}", from.display());
        }
        findings.push(of_store(&path, Some((0, STORE_FILE as u64)), what));
        Ok(())
    }

    /// The state journal as far as it is written. Where the store is only read, nothing is written
    /// to its files: they are what they were.
    pub(super) fn verify_journal(&self, findings: &mut Vec<Finding>) -> Result<()> {
        let shared = self.shared();
        let Some(below) = shared.disk.below() else {
            let faults = shared.journal.verify()?.into_iter();
            findings.extend(
                faults.map(|fault| of_store(&fault.path, Some((fault.from, fault.to)), fault.what)),
            );
            return Ok(());
        };
        let disk: Arc<dyn Disk> = Arc::new(Overlay::new(below));
        let (dir, sizes) = (shared.dir.join(name::STATE), shared.options.journal);
        // As the opening does it, above what is only read.
        make_dir(&*disk, &dir)?;
        let place = Place { disk, dir, uuid: shared.uuid, sizes };
        let now = match journal::load(&place, true) {
            // What lies beside the journal is none of it.
            Ok(loaded) => JournalRecovery { set_aside: Vec::new(), ..loaded.report },
            Err(error) if error.is_shortage() => return Err(error),
            Err(error) => {
                findings.push(of_store(&place.dir, None, format!("cannot be read: {error}")));
                return Ok(());
            }
        };
        let before = shared.report.lock().journal.clone();
        let before = JournalRecovery { set_aside: Vec::new(), ..before };
        add_changes(&place, &before, &now, findings);
        Ok(())
    }
}

/// Adds what reading the journal again shows that it did not show at the opening.
fn add_changes(
    place: &Place,
    before: &JournalRecovery,
    now: &JournalRecovery,
    findings: &mut Vec<Finding>,
) {
    if before == now {
        return;
    }
    let known = |place: &&(PathBuf, u64)| !before.gaps.contains(place);
    let gaps = now.gaps.iter().filter(known);
    let skipped = now.skipped.iter().filter(|place| !before.skipped.contains(place));
    let known = findings.len();
    for (path, at) in gaps.chain(skipped) {
        let what = "the journal file is not what it was when the store was opened";
        findings.push(of_store(path, Some((*at, *at)), what));
    }
    if let Some((path, at, bytes)) = now.cut.as_ref().filter(|_| before.cut != now.cut) {
        let what = "the state journal has lost its end since the store was opened";
        findings.push(of_store(path, Some((*at, at + bytes)), what));
    }
    if findings.len() == known {
        let what = "the state journal is not what it was when the store was opened";
        findings.push(of_store(&place.dir, None, what));
    }
}
