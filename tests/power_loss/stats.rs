//! What a series of runs has looked at, and what it found.

use super::model::Violation;
use super::rng::mix;
use std::collections::HashSet;
use std::fmt;

/// Counts over the images that were judged.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Images that were recovered and judged.
    pub states: u64,
    pub runs: u64,
    pub calls: u64,
    pub failed_calls: u64,
    /// The hashes of the images; their number is the number of distinct states.
    pub hashes: HashSet<u64>,
    /// Of the distinct ones:
    pub differ_from_old: u64,
    pub differ_from_current: u64,
    pub cut_tail: u64,
    pub lost_name: u64,
    pub in_recovery: u64,
    pub spanned_roll: u64,
    /// How often journal files grew to hold a checkpoint, and because records came faster than one
    /// was written.
    pub grown: u64,
    pub widened: u64,
    /// Over everything that was done and found, in order.
    pub digest: u64,
}

impl Stats {
    pub fn note(&mut self, number: u64) {
        self.digest = mix(self.digest, number);
    }

    pub fn distinct(&self) -> u64 {
        self.hashes.len() as u64
    }

    /// Adds what another series did. The counts by kind may take an image for distinct that the
    /// other series has, too; the number of distinct ones does not.
    pub fn add(&mut self, other: &Stats) {
        self.states += other.states;
        self.runs += other.runs;
        self.calls += other.calls;
        self.failed_calls += other.failed_calls;
        self.hashes.extend(&other.hashes);
        self.differ_from_old += other.differ_from_old;
        self.differ_from_current += other.differ_from_current;
        self.cut_tail += other.cut_tail;
        self.lost_name += other.lost_name;
        self.in_recovery += other.in_recovery;
        self.spanned_roll += other.spanned_roll;
        self.grown += other.grown;
        self.widened += other.widened;
        self.note(other.digest);
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { states, runs, calls, failed_calls, .. } = self;
        writeln!(
            f,
            "  {states} states, {} of them distinct, from {runs} runs with {calls} calls \
             ({failed_calls} of these failed)",
            self.distinct()
        )?;
        let counts = [
            ("differed from all-old", self.differ_from_old),
            ("differed from all-current", self.differ_from_current),
            ("had a cut tail", self.cut_tail),
            ("had lost a name", self.lost_name),
            ("lay inside a recovery", self.in_recovery),
            ("spanned a roll", self.spanned_roll),
        ];
        let counts = counts.map(|(what, count)| format!("{count} {what}"));
        writeln!(f, "  of the distinct ones: {}", counts.join(", "))?;
        write!(f, "  digest {:016x}", self.digest)
    }
}

/// A violation and how to get there again.
#[derive(Clone, Debug)]
pub struct Found {
    pub violation: Violation,
    /// The step and the image; `None` if the store went wrong while it ran.
    pub place: Option<Place>,
    pub history: Vec<String>,
    /// How many states the run had judged by then.
    pub states: u64,
}

impl From<Violation> for Found {
    fn from(violation: Violation) -> Found {
        Found { violation, place: None, history: Vec::new(), states: 0 }
    }
}

#[derive(Clone, Debug)]
pub struct Place {
    pub step: u64,
    pub what: &'static str,
    pub image: u64,
    /// The choices of the image, and of those made from its recovery.
    pub choices: Vec<String>,
    /// What of the image matters, in bytes.
    pub difference: Vec<String>,
}
