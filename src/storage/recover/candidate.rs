//! The segment files of a stream, as recovery finds them.

use super::*;

/// A segment file of the directory.
pub(super) struct Candidate {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) header: FileHeader,
    pub(super) begin: Begin,
    pub(super) first_offset: u64,
    pub(super) content: Content,
    /// Damage in it was skipped: nothing is written into it any more.
    pub(super) hurt: bool,
}

pub(super) enum Content {
    Sealed(crate::format::footer::Footer),
    Scanned(Box<Scan>),
}

impl Candidate {
    pub(super) fn end(&self) -> u64 {
        match &self.content {
            Content::Sealed(footer) => footer.end,
            Content::Scanned(scan) => scan.end,
        }
    }

    /// The highest position that this segment proves to be durable.
    pub(super) fn durable(&self) -> u64 {
        match &self.content {
            Content::Sealed(footer) => self.begin.position + footer.end,
            Content::Scanned(scan) => scan.durable,
        }
    }

    pub(super) fn trimmed(&self) -> EntryId {
        match &self.content {
            Content::Sealed(footer) => footer.trimmed,
            Content::Scanned(scan) => scan.trimmed,
        }
    }

    pub(super) fn last_id_and_chain(&self) -> (EntryId, u64) {
        match &self.content {
            Content::Sealed(footer) => (footer.last_id, footer.chain),
            Content::Scanned(scan) => (scan.last_id, scan.chain),
        }
    }
}

/// The chain that ends in the highest number, and the segments that are not part of it; both oldest
/// first.
pub(super) fn follow_back(candidates: Vec<Candidate>) -> (Vec<Candidate>, Vec<Candidate>) {
    let (mut chain, mut beside): (Vec<Candidate>, Vec<Candidate>) = Default::default();
    for candidate in candidates.into_iter().rev() {
        let fits = chain.last().is_none_or(|next| {
            next.begin.previous.is_some_and(|(number, end)| {
                let position = candidate.begin.position.checked_add(end);
                number == candidate.number && position == Some(next.begin.position)
            })
        });
        if fits {
            chain.push(candidate);
        } else {
            beside.push(candidate);
        }
    }
    chain.reverse();
    beside.reverse();
    (chain, beside)
}
