//! Looking at everything: a report of all that is not as it was written, for programs and people.

use super::{RecoveryReport, Store};
use crate::error::{Error, ErrorKind, Result};
use crate::format::name;
use crate::id::EntryId;
use crate::storage::cursor::Span;
use crate::storage::log::Log;
use crate::stream::StreamInner;
use std::fmt;
use std::path::{Path, PathBuf};

mod files;
mod known;
#[cfg(test)]
mod tests;

/// What [`Store::verify`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// The streams in byte order of their names.
    pub streams: Vec<VerifiedStream>,
    /// What opening found and did, with the state of the journal.
    pub recovery: RecoveryReport,
    /// Everything that is not as it was written, the streams' findings included.
    pub findings: Vec<Finding>,
}

/// How much of a stream was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedStream {
    /// Its name.
    pub name: Vec<u8>,
    /// How many segments; 0 if the stream could not be opened.
    pub segments: usize,
    /// How many entries live in them.
    pub entries: u64,
    /// The bytes of their frames.
    pub bytes: u64,
}

/// A place that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The stream, if it is one's.
    pub stream: Option<Vec<u8>>,
    /// The file, if it is known.
    pub path: Option<PathBuf>,
    /// The first byte and the one behind the last, if they are known.
    pub bytes: Option<(u64, u64)>,
    /// The IDs between which entries are affected, if they are known.
    pub ids: Option<(EntryId, EntryId)>,
    /// What is wrong, in one line.
    pub what: String,
}

impl Verification {
    /// Whether nothing was found. What recovery mended is no finding.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(stream) = &self.stream {
            write!(f, "stream \"{}\": ", stream.escape_ascii())?;
        }
        f.write_str(&self.what)?;
        if let Some((from, to)) = self.ids {
            write!(f, ", entries from {from} to {to}")?;
        }
        if let Some(path) = &self.path {
            write!(f, ": {}", path.display())?;
        }
        match self.bytes {
            Some((from, to)) => write!(f, ", bytes {from} to {to}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for stream in &self.streams {
            let VerifiedStream { name, segments, entries, bytes } = stream;
            let name = name.escape_ascii();
            writeln!(f, "\"{name}\": {entries} entries, {segments} segments, {bytes} bytes")?;
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        match self.findings.len() {
            0 => f.write_str("nothing is damaged"),
            n => write!(
                f,
                "{n} findings; to go on without what is damaged open the store with \
                 OnDamage::Skip, to read what is left with Store::open_salvage"
            ),
        }
    }
}

fn refusal(stream: &[u8], error: &Error) -> Finding {
    let (path, offset) = match error.location() {
        Some((path, offset)) => (Some(path.to_owned()), offset),
        None => (None, None),
    };
    let ids = match error.kind() {
        ErrorKind::Corrupt { ids, .. } => *ids,
        _ => None,
    };
    Finding {
        stream: Some(stream.to_owned()),
        path,
        bytes: offset.map(|offset| (offset, offset)),
        ids,
        what: format!("cannot be opened: {error}"),
    }
}

impl Store {
    /// Looks at every byte of every stream: headers, frames, the chain that binds them, footers and
    /// indexes; at the STORE file and at the state journal as far as it is written; and tells what
    /// is missing by all that is known. Appends go on meanwhile; what comes after the call is left
    /// out.
    ///
    /// No entry is removed and nothing that is damaged is touched: the retention of a stream that
    /// was not used yet is left for its first use. But in a store that is open for writing such a
    /// stream is recovered as its first use does it, which may cut a torn tail, copy the last
    /// segment's end to where it is on disk for sure, and remove files that an earlier life left
    /// behind. A store that is open for reading only is not changed at all.
    ///
    /// Of a stream that is refused only the first damage is known; open the store with
    /// [`OnDamage::Skip`](crate::OnDamage::Skip) or [`Store::open_salvage`] to learn of all. That
    /// groups and deletions are lost is told until the store is opened again, which goes on without
    /// them. Reads all files once.
    ///
    /// # Errors
    /// `Closed`, `Locked`, `Io`, `TooManyFiles`. Damage is no error but a finding.
    pub fn verify(&self) -> Result<Verification> {
        self.shared().check_open()?;
        let (mut streams, mut findings) = (Vec::new(), Vec::new());
        let mut refused = Vec::new();
        self.verify_store_file(&mut findings)?;
        for name in self.names() {
            match self.verify_stream(&name, &mut findings) {
                Ok(Some(stream)) => streams.push(stream),
                Ok(None) => {}
                Err(error) if error.is_corruption() => {
                    findings.push(refusal(&name, &error));
                    refused.push(name.clone());
                    streams.push(VerifiedStream { name, segments: 0, entries: 0, bytes: 0 });
                }
                Err(error) => return Err(error),
            }
        }
        self.verify_journal(&mut findings)?;
        let recovery = self.recovery();
        self.add_known(&recovery, &refused, &mut findings);
        // Where a writer came meanwhile, what was read is not what the store was.
        self.shared().check_open()?;
        Ok(Verification { streams, recovery, findings })
    }

    /// `None` if the stream was removed meanwhile.
    fn verify_stream(
        &self,
        name: &[u8],
        findings: &mut Vec<Finding>,
    ) -> Result<Option<VerifiedStream>> {
        let Some(inner) = self.find(name) else {
            return Ok(None);
        };
        // Not by a handle: what is looked at is not used.
        let looked = inner.log(self.shared()).and_then(|log| {
            let length = inner.lock(self.shared())?.facts()?.length;
            Ok((log, log.span(), length))
        });
        let (log, span, entries) = match looked {
            Err(_) if inner.is_gone() => return Ok(None),
            looked => looked?,
        };
        let (name, first) = (name.to_owned(), findings.len());
        let mut seen = VerifiedStream { name, segments: 0, entries, bytes: 0 };
        for n in 0..span.segments.len() {
            if !seen.verify_segment(&inner, log, &span, n, findings)? {
                return Ok(None);
            }
        }
        let found = findings.split_off(first);
        findings.extend(known::with_gaps(&seen.name, log, &span, found));
        Ok(Some(seen))
    }
}

impl VerifiedStream {
    /// `false` if the stream was removed meanwhile.
    fn verify_segment(
        &mut self,
        inner: &StreamInner,
        log: &Log,
        span: &Span,
        n: usize,
        findings: &mut Vec<Finding>,
    ) -> Result<bool> {
        let Some(segment) = span.segments.get(n) else {
            return Ok(true);
        };
        let next = span.segments.get(n + 1).map(|next| &**next);
        let finding = |bytes, ids, what: &str| Finding {
            stream: Some(self.name.clone()),
            path: Some(segment.path.clone()),
            bytes,
            ids,
            what: what.to_owned(),
        };
        match segment.verify(next) {
            Err(_) if inner.is_gone() => return Ok(false),
            // It was trimmed away meanwhile, and its file with it.
            Err(_) if !log.segments().iter().any(|other| other.number() == segment.number()) => {
                return Ok(true);
            }
            Err(error) if error.is_missing_file() => {
                let before = next.map_or(EntryId::MAX, |next| next.begin.last_id);
                let ids = Some((segment.begin.last_id, before));
                findings.push(finding(None, ids, "the segment's file is missing"));
            }
            faults => findings.extend(
                faults?
                    .into_iter()
                    .map(|fault| finding(Some((fault.from, fault.to)), fault.ids, fault.what)),
            ),
        }
        self.segments += 1;
        self.bytes += segment.end();
        Ok(true)
    }
}
