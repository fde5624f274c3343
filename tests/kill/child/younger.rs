//! The child's calls that Redis got after its version 7.0: appends that happen once, removals that
//! heed what groups reference, deliveries that are given back, reads that claim.

use super::{At, MANY, Work};
use crate::plan::{NACKS, Random, fields, is_careful, nack, once, once_token};
use crate::report::{Done, Op};
use std::time::Duration;
use streamlog::{Consumer, Deletion, EntryId, Group, GroupReadOptions, RefPolicy, Trim};

impl Work<'_> {
    /// A new entry, or one that somebody else, or the last life, has sent or may have sent.
    pub(super) fn once(&self, thread: u64, stream: usize, call: u64, random: &mut Random) {
        let life = self.orders.life;
        let earlier = match random.below(4) {
            0 => self.some_sent(stream, random),
            // In a store's first life these are just new, too.
            1 => life.checked_sub(1).map(|life| {
                let call = random.below(400);
                once_token(life, random.below(super::APPENDERS), call)
            }),
            _ => None,
        };
        let token = earlier.unwrap_or_else(|| once_token(life, thread, call));
        // One stream only, so that its number says where an entry is.
        let stream = (token >> 8) as usize % self.streams.len();
        self.sent[stream].lock().unwrap().push_back(token);
        let done = self.report.call(thread, Op::Once { stream, token }, || {
            let appended = self.streams[stream].append_outcome(fields(token), once(token))?;
            let count = u64::from(appended.duplicate);
            Ok(Done { ids: vec![appended.id], count, ..Done::default() })
        });
        self.remember(stream, &done.ids);
    }

    fn some_sent(&self, stream: usize, random: &mut Random) -> Option<u64> {
        let mut sent = self.sent[stream].lock().unwrap();
        let surplus = sent.len().saturating_sub(60);
        sent.drain(..surplus);
        sent.get(random.below(sent.len() as u64) as usize).copied()
    }

    /// A policy; in a careful life only one that leaves nothing pending without its entry.
    fn policy(&self, random: &mut Random) -> RefPolicy {
        match random.below(3) {
            0 if !is_careful(self.orders.life) => RefPolicy::KeepRef,
            1 => RefPolicy::DelRef,
            _ => RefPolicy::Acked,
        }
    }

    pub(super) fn delete_with(&self, thread: u64, stream: usize, random: &mut Random) {
        let (ids, policy) = (self.some_recent(stream, random, 8), self.policy(random));
        let op = Op::DeleteWith { stream, ids: ids.clone(), policy };
        self.report.call(thread, op, || {
            let told = self.streams[stream].delete_with(ids.iter().copied(), policy)?;
            Ok(told_of(&ids, &told))
        });
    }

    pub(super) fn trim_references(&self, thread: u64, stream: usize, random: &mut Random) {
        let Some(min) = self.some_recent(stream, random, 1).first().copied() else {
            return;
        };
        let policy = if random.one_in(3) { RefPolicy::DelRef } else { RefPolicy::Acked };
        self.report.call(thread, Op::TrimRef { stream, min, policy }, || {
            let count = self.streams[stream].trim(Trim::min_id(min).references(policy))?;
            Ok(Done { count, ..Done::default() })
        });
    }

    pub(super) fn nack(
        &self,
        at: &At,
        group: &Group,
        held: &mut Vec<EntryId>,
        random: &mut Random,
    ) {
        let ids = some_held(held, random, 8);
        if ids.is_empty() {
            return;
        }
        let how = random.below(NACKS);
        let op = Op::Nack { stream: at.stream, group: at.group, ids: ids.clone(), how };
        self.report.call(at.thread, op, || {
            let (mode, options) = nack(how);
            let count = group.nack_with(ids, mode, options)?;
            Ok(Done { count, ..Done::default() })
        });
    }

    pub(super) fn ack_delete(
        &self,
        at: &At,
        group: &Group,
        held: &mut Vec<EntryId>,
        random: &mut Random,
    ) {
        let (ids, policy) = (some_held(held, random, 16), self.policy(random));
        if ids.is_empty() {
            return;
        }
        let op = Op::AckDelete { stream: at.stream, group: at.group, ids: ids.clone(), policy };
        self.report.call(at.thread, op, || {
            let told = group.ack_delete(ids.iter().copied(), policy)?;
            // What is not pending may be there or not.
            Ok(Done { gone: Vec::new(), ..told_of(&ids, &told) })
        });
    }

    pub(super) fn read_claim(&self, at: &At, me: &Consumer, random: &mut Random) -> Vec<EntryId> {
        let count = 1 + random.below(MANY as u64) as usize;
        let options = GroupReadOptions::new().count(count).claim(Duration::ZERO);
        let op = Op::ReadClaim { stream: at.stream, group: at.group, consumer: at.consumer };
        let read = || {
            let delivery = me.read(options)?;
            let count = delivery.claims().map_or(0, <[_]>::len) as u64;
            Ok(Done { count, ..self.delivered(&delivery) })
        };
        self.report.call(at.thread, op, read).ids
    }
}

/// Some of what a reader holds, each once; it holds them no longer.
fn some_held(held: &mut Vec<EntryId>, random: &mut Random, most: u64) -> Vec<EntryId> {
    let from = held.len() - held.len().min(1 + random.below(most) as usize);
    let mut ids = held.split_off(from);
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn told_of(ids: &[EntryId], told: &[Deletion]) -> Done {
    let of = |wanted: Deletion| {
        let ids = ids.iter().zip(told).filter(|(_, told)| **told == wanted);
        ids.map(|(id, _)| *id).collect::<Vec<_>>()
    };
    Done {
        ids: of(Deletion::Deleted),
        gone: of(Deletion::NotFound),
        kept: of(Deletion::Referenced),
        count: 0,
    }
}
