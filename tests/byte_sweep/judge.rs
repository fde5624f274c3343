//! What a look at a damaged store may show.

use super::fixture::{Fixture, SegmentMap};
use super::harm::{Harm, Harmed, What};
use super::look::{GroupLook, Look, StreamLook, names};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// All is there.
    Identical,
    /// All is there, and something was named.
    Reported,
    /// Refused by name.
    Refused,
    /// Something is missing and was named.
    Lost,
}

/// Where the salt of a segment stands.
const SALT: Range<usize> = 56..64;

/// The kind of a Batch frame.
const BATCH: u8 = 3;

fn meet(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The entries of a segment that damage may cost.
fn may_lose(map: &SegmentMap, changed: &[Range<usize>]) -> BTreeSet<usize> {
    let hit = |range: &Range<usize>| changed.iter().any(|part| meet(part, range));
    let has_index = map.footer.as_ref().is_some_and(|footer| !hit(footer));
    let mut lost = BTreeSet::new();
    // Checksums start with the salt. If it is lost, the footer or the first frame tells with what,
    // which a segment before confirms.
    let first = map.frames.first().map_or(0..0, |frame| frame.bytes.clone());
    let is_alone = map.entries.start == 0;
    if hit(&SALT) && !has_index && (hit(&first) || is_alone) {
        return map.entries.clone().collect();
    }
    let mut rest_of_block = false;
    // Between two stretches that may hold any number of entries, with no block start in between
    // that tells a number, entries cannot be counted: all of that is one stretch.
    let mut uncounted: Option<BTreeSet<usize>> = None;
    for frame in &map.frames {
        let uncertain = hit(&frame.header) || (frame.kind == BATCH && hit(&frame.bytes));
        if frame.begins_block {
            rest_of_block = false;
            if !uncertain {
                uncounted = None;
            }
        }
        if uncertain {
            lost.extend(uncounted.replace(BTreeSet::new()).into_iter().flatten());
        } else if let Some(between) = &mut uncounted {
            between.extend(frame.entries.clone());
        }
        if rest_of_block || hit(&frame.bytes) {
            lost.extend(frame.entries.clone());
        }
        // Without an index a lost header hides where the next frames belong.
        if hit(&frame.header) && !has_index {
            rest_of_block = true;
        }
    }
    lost
}

pub struct Judge<'a> {
    pub fixture: &'a Fixture,
    pub harm: &'a Harm,
    pub harmed: &'a Harmed,
}

type Verdict = Result<End, String>;

impl Judge<'_> {
    fn segment(&self) -> Option<&SegmentMap> {
        self.fixture.segments.get(&self.harmed.path).or_else(|| {
            // A twin of the last segment lies where none was.
            self.fixture.segments.get(&self.harm.path)
        })
    }

    fn is_named(&self, look: &Look) -> bool {
        let inside = matches!(self.harm.what, What::Byte { .. } | What::Sector { .. });
        let path = &self.harmed.path;
        names(&look.told, path, !inside, inside || matches!(self.harm.what, What::Cut { .. }))
    }

    /// Everything must be there, or refused by name.
    pub fn refusing(&self, look: &Look) -> Verdict {
        self.states(look)?;
        let mut end = if look.told.is_empty() { End::Identical } else { End::Reported };
        if !look.opened {
            end = End::Refused;
        }
        for (name, want) in &self.fixture.looks {
            let Some(seen) = look.streams.get(name) else {
                if look.opened {
                    end = self.unnamed(look, name)?;
                }
                continue;
            };
            if let Some(segment) = self.segment()
                && segment.stream != *name
                && seen != want
            {
                return Err(format!("another stream shows {seen:?}"));
            }
            if seen == want {
                continue;
            }
            if seen.opened && seen.whole && self.segment().is_some() {
                return Err(format!("not refused, and different: {}", differs(seen, want)));
            }
            if !seen.whole {
                end = End::Refused;
                let live = &self.fixture.streams[name].live;
                let is_prefix = seen.entries.iter().eq(live.iter().take(seen.entries.len()));
                if self.segment().is_some() && !is_prefix {
                    return Err(format!("what was read is {:?}", seen.entries));
                }
            } else {
                end = End::Lost;
            }
        }
        if end > End::Reported && !self.is_named(look) {
            return Err(format!("{end:?} without a place: {:?} {:?}", look.told, look.errors));
        }
        // What is missing of a file that was cut short may never have been there.
        if end == End::Lost && !matches!(self.harm.what, What::Cut { .. }) {
            return Err(format!("not refused, and lost: {:?} {:?}", look.told, look.errors));
        }
        Ok(end)
    }

    /// A stream that is gone must have been named.
    fn unnamed(&self, look: &Look, name: &[u8]) -> Verdict {
        if self.segment().is_some() || !self.is_named(look) {
            return Err(format!("the stream {} is gone", name.escape_ascii()));
        }
        Ok(End::Lost)
    }

    /// Everything must be there but what was damaged, and that must be named.
    pub fn skipping(&self, look: &Look) -> Verdict {
        self.states(look)?;
        if !look.opened {
            let unreadable = matches!(self.harm.what, What::Odd(_));
            if unreadable && self.is_named(look) {
                return Ok(End::Refused);
            }
            return Err(format!("refused: {:?}", look.errors));
        }
        let mut end = if look.told.is_empty() { End::Identical } else { End::Reported };
        for (name, want) in &self.fixture.looks {
            let Some(seen) = look.streams.get(name) else {
                return Err(format!("the stream {} is gone", name.escape_ascii()));
            };
            if seen == want {
                continue;
            }
            end = End::Lost;
            if !seen.opened || !seen.whole {
                if matches!(self.harm.what, What::Odd(_)) && self.is_named(look) {
                    end = End::Refused;
                    continue;
                }
                return Err(format!("refused: {:?}", look.errors));
            }
            self.lost_only(name, seen, want, look)?;
        }
        if end > End::Reported && !self.is_named(look) {
            return Err(format!("{end:?} without a place: {:?}", look.told));
        }
        Ok(end)
    }

    /// What is lost, or was refused, `Store::verify` must find, and name the file.
    pub fn verified(&self, look: &Look) -> Result<(), String> {
        let found = match &look.verified {
            None => return Ok(()),
            Some(Ok(found)) => found,
            // What cannot be read for another reason than damage is an error.
            Some(Err(error)) if self.is_odd() => {
                let named = error.location().is_some_and(|(path, _)| self.is_near(path));
                return if named { Ok(()) } else { Err(format!("verifying gave: {error}")) };
            }
            Some(Err(error)) => return Err(format!("verifying gave: {error}")),
        };
        // A file that was cut short may end like one whose last frames a power cut took, which is no
        // damage: what was cut is told by the report.
        let may_be_torn = matches!(self.harm.what, What::Cut { .. }) && self.is_named(look);
        if found.is_whole() && may_be_torn {
            return Ok(());
        }
        if found.is_whole() {
            return Err("verifying finds nothing".to_owned());
        }
        let mut paths = found.findings.iter().filter_map(|finding| finding.path.as_deref());
        match paths.any(|path| self.is_near(path)) {
            true => Ok(()),
            false => Err(format!("verifying names other files only: {found}")),
        }
    }

    /// Salvage must give what skipping gives; all, where that is refused as the STORE file may not be
    /// opened, without which salvage does.
    pub fn salvaging(&self, look: &Look, skipped: &Look) -> Result<(), String> {
        if !skipped.opened && look.opened && look.streams == self.fixture.looks {
            return Ok(());
        }
        if look.opened != skipped.opened {
            return Err(format!("opened: {}; {:?}", look.opened, look.errors));
        }
        if look.streams != skipped.streams {
            return Err(format!("{:?} where skipping gives {:?}", look.streams, skipped.streams));
        }
        Ok(())
    }

    fn is_odd(&self) -> bool {
        matches!(self.harm.what, What::Odd(_))
    }

    /// Whether a file is the damaged one; or, where that is not there any more, or is no file, or
    /// one too many, or cut off, another one of its directory, or that.
    fn is_near(&self, path: &Path) -> bool {
        let inside = matches!(self.harm.what, What::Byte { .. } | What::Sector { .. });
        let own = &self.harmed.path;
        let dir = own.parent();
        path == own || (!inside && (path.parent() == dir || Some(path) == dir))
    }

    fn lost_only(
        &self,
        name: &[u8],
        seen: &StreamLook,
        want: &StreamLook,
        look: &Look,
    ) -> Result<(), String> {
        let history = &self.fixture.streams[name];
        let found: BTreeSet<usize> = seen.entries.iter().copied().collect();
        let missing: BTreeSet<usize> = history.live.difference(&found).copied().collect();
        if seen.length != found.len() as u64 {
            return Err(format!("{} entries counted, {} there", seen.length, found.len()));
        }
        let Some(segment) = self.segment() else {
            if !missing.is_empty() {
                return Err(format!("entries {missing:?} are gone"));
            }
            return Ok(());
        };
        if segment.stream != name {
            return Err(format!("another stream shows {}", differs(seen, want)));
        }
        let allowed = may_lose(segment, &self.harmed.changed);
        if let Some(more) = missing.iter().find(|n| !allowed.contains(n)) {
            return Err(format!("entry {more} is gone, of {missing:?}; allowed: {allowed:?}"));
        }
        if let Some(n) = found.difference(&history.live).next() {
            return Err(format!("entry {n} is alive again"));
        }
        if seen.groups != want.groups && !look.state_told {
            return Err(format!("groups: {:?} for {:?}", seen.groups, want.groups));
        }
        Ok(())
    }

    /// No live entry may be lost to a group: what lies below its position is pending, or was
    /// acknowledged. And a group or its state may only change if something was named.
    fn states(&self, look: &Look) -> Result<(), String> {
        for (name, seen) in look.streams.iter().filter(|(_, seen)| seen.whole) {
            let history = &self.fixture.streams[name];
            for (group, state) in &seen.groups {
                let Some(acked) = history.acked.get(group) else {
                    return Err(format!("there is a group {}", group.escape_ascii()));
                };
                let pending: BTreeMap<_, _> =
                    state.pending.iter().map(|(id, owner, n)| (*id, (owner, *n))).collect();
                // The group `late` began behind entry 70.
                let begins = if group == b"late" { 70 } else { 0 };
                for n in &seen.entries {
                    let id = history.entries[*n].0;
                    let passed = id.ms > begins && id <= state.cursor;
                    if passed && !pending.contains_key(&id) && !acked.contains(&id) {
                        return Err(format!(
                            "entry {id} is lost to the group {}: {state:?}",
                            group.escape_ascii()
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

fn differs(seen: &StreamLook, want: &StreamLook) -> String {
    let missing: Vec<_> = want.entries.iter().filter(|n| !seen.entries.contains(n)).collect();
    let more: Vec<_> = seen.entries.iter().filter(|n| !want.entries.contains(n)).collect();
    let of = |groups: &BTreeMap<Vec<u8>, GroupLook>| format!("{groups:?}");
    let groups = if seen.groups == want.groups {
        String::new()
    } else {
        format!("; groups {} for {}", of(&seen.groups), of(&want.groups))
    };
    let numbers = |look: &StreamLook| (look.length, look.last_id, look.max_deleted, look.added);
    format!(
        "missing {missing:?}, more {more:?}, {:?} for {:?}{groups}",
        numbers(seen),
        numbers(want)
    )
}
