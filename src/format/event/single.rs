//! The events of the most frequent calls, which name one entry each: small enough to be handed on
//! without going through memory, which an [`Event`] is not.

use super::{ConsumerNumber, Event, GroupNumber, OF_ID};
use crate::few::Few;
use crate::id::EntryId;

/// An [`Event`] that names one entry, as that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Single {
    Delivered {
        group: GroupNumber,
        consumer: ConsumerNumber,
        time_ms: u64,
        no_ack: bool,
        entries_read: Option<u64>,
        id: EntryId,
    },
    PendingRemoved {
        group: GroupNumber,
        id: EntryId,
    },
}

impl Single {
    #[inline]
    pub(crate) fn of(event: &Event) -> Option<Single> {
        match event {
            Event::Delivered { group, consumer, time_ms, no_ack, entries_read, ids } => {
                let id = alone(ids)?;
                let (group, consumer, time_ms) = (*group, *consumer, *time_ms);
                let (no_ack, entries_read) = (*no_ack, *entries_read);
                Some(Single::Delivered { group, consumer, time_ms, no_ack, entries_read, id })
            }
            Event::PendingRemoved { group, ids } => {
                Some(Single::PendingRemoved { group: *group, id: alone(ids)? })
            }
            _ => None,
        }
    }

    pub(crate) fn event(&self) -> Event {
        match *self {
            Single::Delivered { group, consumer, time_ms, no_ack, entries_read, id } => {
                let ids = Few::One([id]);
                Event::Delivered { group, consumer, time_ms, no_ack, entries_read, ids }
            }
            Single::PendingRemoved { group, id } => {
                Event::PendingRemoved { group, ids: Few::One([id]) }
            }
        }
    }

    /// As [`Event::spare`].
    #[inline]
    pub(crate) fn spare(&self) -> u64 {
        match self {
            Single::Delivered { no_ack: false, .. } => OF_ID,
            _ => 0,
        }
    }
}

#[inline]
fn alone(ids: &[EntryId]) -> Option<EntryId> {
    match ids {
        [id] => Some(*id),
        _ => None,
    }
}
