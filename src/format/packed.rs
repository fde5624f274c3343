//! Events in the bytes that they have in a record or a section: each with its length in front.
//!
//! What is read of a journal is kept so until it is applied. As values its events take many times
//! the room, those that name whole runs of IDs most of all.

use super::event::Event;
use crate::entry::{read_bytes, read_varint, write_varint};

/// Events that were checked, and how many.
#[derive(Clone, Default)]
pub(crate) struct Packed {
    count: u64,
    bytes: Vec<u8>,
}

/// Appends an event with its length in front.
pub(crate) fn write_event(out: &mut Vec<u8>, event: &Event) {
    let start = out.len();
    // Nearly always the length takes one byte.
    out.push(0);
    event.encode(out);
    let len = out.len() - start - 1;
    if len < 0x80 {
        out[start] = len as u8;
        return;
    }
    out.remove(start);
    let end = out.len();
    write_varint(out, len as u64);
    let prefix = out.len() - end;
    out[start..].rotate_right(prefix);
}

/// Appends events behind their number.
pub(crate) fn write_events(out: &mut Vec<u8>, events: &[Event]) {
    write_varint(out, events.len() as u64);
    for event in events {
        write_event(out, event);
    }
}

impl Packed {
    pub(crate) fn push(&mut self, event: &Event) {
        write_event(&mut self.bytes, event);
        self.count += 1;
    }

    pub(crate) fn extend(&mut self, more: &Packed) {
        self.bytes.extend_from_slice(&more.bytes);
        self.count += more.count;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes they take.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Event> {
        let mut at = 0;
        // They were checked when they came in.
        std::iter::from_fn(move || Event::decode(read_bytes(&self.bytes, &mut at)?))
    }

    /// Whether one of them removes the stream.
    pub(crate) fn removes_the_stream(&self) -> bool {
        let mut at = 0;
        let mut each = std::iter::from_fn(|| read_bytes(&self.bytes, &mut at));
        each.any(Event::is_removal)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, self.count);
        out.extend_from_slice(&self.bytes);
    }

    pub(crate) fn read(bytes: &[u8], at: &mut usize) -> Option<Packed> {
        // Each takes a byte at least.
        let count = read_varint(bytes, at).filter(|count| *count <= bytes.len() as u64)?;
        let start = *at;
        for _ in 0..count {
            Event::decode(read_bytes(bytes, at)?)?;
        }
        Some(Packed { count, bytes: bytes.get(start..*at)?.to_vec() })
    }
}

impl FromIterator<Event> for Packed {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Packed {
        let mut packed = Packed::default();
        events.into_iter().for_each(|event| packed.push(&event));
        packed
    }
}

impl PartialEq for Packed {
    fn eq(&self, other: &Packed) -> bool {
        // Not the bytes: a number can be written in more ways than one.
        self.iter().eq(other.iter())
    }
}

impl Eq for Packed {}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EntryId;

    #[test]
    fn events_of_any_length_are_packed_and_found_again() {
        let ids = |count: u64| (0..count).map(|n| EntryId::new(n * 1_000, n)).collect();
        let lengths = [0, 1, 10, 30, 31, 32, 33, 100, 6_000];
        let events = lengths.map(|count| Event::Deleted { ids: ids(count) });
        let packed: Packed = events.iter().cloned().collect();
        assert!(packed.iter().eq(events.iter().cloned()));
        let mut plain = Vec::new();
        write_events(&mut plain, &events);
        let mut written = Vec::new();
        packed.write(&mut written);
        assert_eq!(plain, written);
        let mut at = 0;
        assert_eq!(Packed::read(&plain, &mut at), Some(packed.clone()));
        assert_eq!(at, plain.len());
        assert_eq!(Packed::read(&plain[..plain.len() - 1], &mut 0), None);
        assert!(!packed.removes_the_stream());
        let removal: Packed = events.into_iter().chain([Event::StreamRemoved]).collect();
        assert!(removal.removes_the_stream());
    }
}
