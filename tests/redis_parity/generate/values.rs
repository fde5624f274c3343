//! The parts of random operations: names, IDs, ranges, trims, chosen so that they meet.

use super::Generator;
use crate::op::*;
use crate::reply::{QUARTER_HOUR, YEAR_2001};
use streamlog::{EntryId, NewId, Start};

/// Splitmix64.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(super) fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    pub(super) fn maybe<T>(&mut self, percent: u64, make: impl FnOnce(&mut Rng) -> T) -> Option<T> {
        self.percent(percent).then(|| make(self))
    }
}

impl Generator {
    /// An ID about where the stream's entries are.
    pub(super) fn id(&mut self, at: usize) -> EntryId {
        let rng = &mut self.rng;
        match rng.below(100) {
            0 => EntryId::MIN,
            1 => EntryId::MAX,
            2 => EntryId::new(self.now[at], u64::MAX),
            3..70 if !self.known[at].is_empty() => rng.pick(&self.known[at]),
            _ => {
                let back = rng.below(12).min(rng.below(16));
                let ms = (self.now[at] + rng.below(2)).saturating_sub(back);
                EntryId::new(ms, rng.below(4).min(rng.below(6)))
            }
        }
    }

    pub(super) fn know(&mut self, at: usize, id: AddId) {
        const KNOWN: usize = 30;
        let known = &mut self.known[at];
        known.push(match id {
            AddId::New(NewId::Exact(id)) => id,
            AddId::New(NewId::AutoSeq(ms)) => EntryId::new(ms, 0),
            AddId::New(NewId::Auto) => return,
            AddId::Ms(ms) => EntryId::new(ms, 0),
        });
        if known.len() > KNOWN {
            known.remove(0);
        }
    }

    pub(super) fn ids(&mut self, at: usize) -> Vec<EntryId> {
        let some = 1 + self.rng.below(6).min(self.rng.below(6));
        (0..some).map(|_| self.id(at)).collect()
    }

    pub(super) fn fields(&mut self) -> Fields {
        const WORDS: [&[u8]; 6] = [b"f", b"g", b"", b"v\x00\xff", b"\r\n", b"a longer value"];
        let pairs = 1 + self.rng.below(3);
        let mut word = || self.rng.pick(&WORDS).to_vec();
        (0..pairs).map(|_| (word(), word())).collect()
    }

    pub(super) fn add_id(&mut self, at: usize) -> AddId {
        let rng = &mut self.rng;
        let now = &mut self.now[at];
        *now += rng.pick(&[0, 0, 0, 1]);
        let near = *now + rng.pick(&[0, 0, 0, 0, 1, 2]) - u64::from(rng.percent(10)).min(*now);
        AddId::New(match rng.below(1000) {
            0..350 => NewId::AutoSeq(near),
            350..550 => NewId::Auto,
            550..560 => NewId::Exact(EntryId::MIN),
            560..568 => {
                *now += 1;
                NewId::Exact(EntryId::new(*now - 1, u64::MAX))
            }
            568..571 => {
                self.full[at] = true;
                NewId::Exact(EntryId::MAX)
            }
            571..620 => return AddId::Ms(near),
            _ => NewId::Exact(EntryId::new(near, rng.below(6))),
        })
    }

    pub(super) fn cut(&mut self, at: usize) -> Cut {
        let to = match self.rng.percent(50) {
            true => CutTo::MaxLen(self.rng.below(40).min(self.rng.below(60))),
            // Mostly old ones: a trim that leaves nothing is of use now and then only.
            false => match self.rng.percent(70) {
                true => CutTo::MinId(self.known[at].first().copied().unwrap_or_default()),
                false => CutTo::MinId(self.id(at)),
            },
        };
        let approximate = self.rng.percent(50);
        let limited = if approximate { 50 } else { 3 };
        let limit = self.rng.maybe(limited, |rng| rng.pick(&[0, 1, 3, 4, 5, 8, 10]));
        Cut { to, approximate, limit }
    }

    pub(super) fn edge(&mut self, at: usize) -> Edge {
        let id = self.id(at);
        match self.rng.below(10) {
            0 => Edge::Lowest,
            1 => Edge::Highest,
            2 => Edge::InclMs(id.ms),
            3 => Edge::ExclMs(id.ms),
            4 | 5 => Edge::Excl(id),
            _ => Edge::Incl(id),
        }
    }

    /// Two edges, mostly in order.
    pub(super) fn edges(&mut self, at: usize) -> (Edge, Edge) {
        if self.rng.percent(30) {
            return (Edge::Lowest, Edge::Highest);
        }
        if self.rng.percent(2) {
            let (lowest, highest) = (Edge::Excl(EntryId::MIN), Edge::Excl(EntryId::MAX));
            return self.rng.pick(&[(Edge::Lowest, lowest), (highest, Edge::Highest)]);
        }
        let (start, end) = (self.edge(at), self.edge(at));
        let value = |edge| match edge {
            Edge::Lowest => EntryId::MIN,
            Edge::Highest => EntryId::MAX,
            Edge::Incl(id) | Edge::Excl(id) => id,
            Edge::InclMs(ms) | Edge::ExclMs(ms) => EntryId::new(ms, 0),
        };
        match value(start) <= value(end) || self.rng.percent(10) {
            true => (start, end),
            false => (end, start),
        }
    }

    /// The first group is used most, so that much happens in it.
    pub(super) fn group(&mut self) -> Name {
        self.rng.pick(&[GROUPS[0], GROUPS[0], GROUPS[0], GROUPS[1], GROUPS[2]])
    }

    pub(super) fn start(&mut self, at: usize) -> Start {
        match self.rng.below(10) {
            0..4 => Start::First,
            4 => Start::Last,
            _ => Start::After(self.id(at)),
        }
    }

    pub(super) fn count(&mut self) -> usize {
        self.rng.pick(&[0, 1, 1, 2, 3, 5, 8])
    }

    /// One to three streams of a call; now and then one of them twice.
    pub(super) fn several(&mut self) -> Vec<usize> {
        let some = 1 + self.rng.below(3).min(self.rng.below(3));
        (0..some).map(|_| self.rng.below(KEYS.len() as u64) as usize).collect()
    }

    pub(super) fn min_idle(&mut self) -> u64 {
        self.rng.pick(&[0, 0, 0, QUARTER_HOUR - 100_000, YEAR_2001 / 2])
    }
}
