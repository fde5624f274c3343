//! The same bytes for the most frequent events of a single entry, written in place.

use super::{DELIVERED, PENDING_REMOVED};
use crate::format::brief::Brief;
use crate::format::event::Single;
use crate::id::EntryId;

impl Single {
    /// What [`Event::encode`](super::Event::encode) appends for the same event; `false` if an ID
    /// has to be written otherwise, and then nothing was put in.
    #[inline(always)]
    pub(crate) fn encode_brief(self, out: &mut Brief<'_>) -> bool {
        match self {
            Single::Delivered { group, consumer, time_ms, no_ack, entries_read, id } => {
                if !is_written_as_itself(id) {
                    return false;
                }
                out.byte(DELIVERED);
                out.pair(u64::from(group), u64::from(consumer));
                out.number(time_ms);
                out.bytes([u8::from(no_ack), u8::from(entries_read.is_some())]);
                if let Some(read) = entries_read {
                    out.number(read);
                }
                write_alone(out, id);
            }
            Single::PendingRemoved { group, id } => {
                if !is_written_as_itself(id) {
                    return false;
                }
                out.byte(PENDING_REMOVED);
                out.number(u64::from(group));
                write_alone(out, id);
            }
        }
        true
    }
}

/// Whether the distance from 0-0 is.
#[inline(always)]
fn is_written_as_itself(id: EntryId) -> bool {
    id.ms != 0
}

/// A list of one such ID.
#[inline(always)]
fn write_alone(out: &mut Brief, id: EntryId) {
    out.byte(1);
    out.number(id.ms);
    out.number(id.seq);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::few::Few;
    use crate::format::event::Event;
    use crate::format::frame::{FrameBuilder, Kind};
    use crate::format::record::{Before, Record};
    use proptest::prelude::*;

    fn ids() -> impl Strategy<Value = Few<EntryId>> {
        let number = || (any::<u64>(), 0..64u32).prop_map(|(number, shift)| number >> shift);
        let id = (number(), number()).prop_map(|(ms, seq)| EntryId { ms, seq });
        prop_oneof![
            9 => id.prop_map(|id| Few::One([id])),
            1 => Just(vec![EntryId::MIN].into()),
            1 => Just(vec![EntryId::new(1, 1), EntryId::new(2, 1)].into()),
        ]
    }

    fn event() -> impl Strategy<Value = Event> {
        let delivered = (any::<u32>(), any::<u32>(), any::<u64>(), any::<bool>(), ids());
        let delivered = (delivered, proptest::option::of(any::<u64>()));
        let delivered =
            delivered.prop_map(|((group, consumer, time_ms, no_ack, ids), entries_read)| {
                Event::Delivered { group, consumer, time_ms, no_ack, entries_read, ids }
            });
        let removed = (any::<u32>(), ids());
        let removed = removed.prop_map(|(group, ids)| Event::PendingRemoved { group, ids });
        prop_oneof![delivered, removed, Just(Event::GroupRemoved { group: 1 })]
    }

    proptest! {
        /// Fails if a brief record has other bytes than the same one by the long way, or if an
        /// event is taken for a brief one that is not.
        #[test]
        fn a_brief_record_is_the_record(
            event in event(),
            (number, stream, back) in (2..1u64 << 62, 0..1u64 << 62, any::<u64>()),
        ) {
            let previous = number - 1 - back % (number - 1);
            let mut words = [0; 16];
            let mut brief = Brief::new(&mut words);
            let single = Single::of(&event);
            let (Event::Delivered { ids, .. } | Event::PendingRemoved { ids, .. }) = &event else {
                prop_assert_eq!(single, None);
                return Ok(());
            };
            prop_assert_eq!(single.is_some(), ids.len() == 1);
            let Some(single) = single else { return Ok(()) };
            prop_assert_eq!(&single.event(), &event);
            prop_assert_eq!(single.spare(), event.spare());
            let is_brief = Record::write_brief(&mut brief, number, (stream, previous), single);
            prop_assert_eq!(is_brief, ids[0].ms != 0);
            if is_brief {
                let mut out = Vec::new();
                let frame = FrameBuilder::begin(&mut out, Kind::Events, 0, None);
                let events = [event];
                let parts = std::iter::once((stream, previous, &events[..]));
                let before = Before { reach: 1, changed: Vec::new() };
                Record::write(&mut out, number, &before, parts);
                frame.end(&mut out, 7, 64);
                // Numbers as large as they can be leave no room, and take the long way.
                if let Some(words) = brief.finish(Kind::Events, 7, 64) {
                    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
                    prop_assert_eq!(bytes, out);
                } else {
                    prop_assert!(out.len() > 100);
                }
            }
        }
    }
}
