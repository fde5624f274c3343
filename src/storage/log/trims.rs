//! What appends trim in the same step as they bring their entry.
//!
//! On disk the frame alone says it, so it takes effect with the entry: for readers under `Always`
//! once that is durable, and in footers and checkpoints never before.

use super::*;

/// An append that is not durable yet, under `Always`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hidden {
    pub(super) position: u64,
    pub(super) tail: Tail,
    /// What it trims in the same step.
    pub(super) trim: Option<TrimPlan>,
}

/// What appends trim in the same step. On disk that is said by their frames alone, so whatever else
/// writes it down (a footer, a checkpoint) has to wait until these are there.
#[derive(Debug)]
pub(super) struct AppendTrims {
    /// By position, of those that may not be on disk.
    waiting: VecDeque<(u64, EntryId)>,
    durable: EntryId,
}

impl AppendTrims {
    /// `trimmed`: what recovery found, all of it on disk. Frames of before may be sealed now.
    pub(super) fn new(trimmed: EntryId) -> AppendTrims {
        AppendTrims { waiting: VecDeque::new(), durable: trimmed }
    }

    pub(super) fn add(&mut self, position: u64, trimmed: EntryId) {
        let mut trimmed = trimmed;
        // Where nobody asks for long, fewer steps do.
        if self.waiting.len() > 1000
            && let Some((_, before)) = self.waiting.pop_back()
        {
            trimmed = trimmed.max(before);
        }
        self.waiting.push_back((position, trimmed));
    }

    /// All of them are on disk, and IDs above `to` are other entries' from now on.
    pub(super) fn set_back(&mut self, to: EntryId) {
        self.durable = self.upto(u64::MAX).min(to);
    }

    pub(super) fn upto(&mut self, durable: u64) -> EntryId {
        while let Some((_, trimmed)) = self.waiting.front().filter(|next| next.0 <= durable) {
            self.durable = self.durable.max(*trimmed);
            self.waiting.pop_front();
        }
        self.durable
    }
}

impl Appender<'_> {
    /// Notes that what was just appended trims, too. `true` if that takes effect later, with the
    /// entry; else it is the caller's to do now.
    pub(crate) fn trims(&mut self, plan: &TrimPlan) -> bool {
        self.log.append_trims.lock().add(self.writer.position, plan.trimmed);
        let Writer { hidden, hidden_trims, .. } = &mut *self.writer;
        match hidden.back_mut() {
            Some(hidden) if self.log.is_strict() => {
                *hidden_trims += usize::from(hidden.trim.is_none());
                hidden.trim = Some(*plan);
                true
            }
            _ => false,
        }
    }
}

impl Log {
    /// The highest ID that is trimmed by an append which is on disk.
    pub(crate) fn durable_append_trim(&self) -> EntryId {
        self.append_trims.lock().upto(self.known_durable())
    }
}
