//! Blocks against a plain map.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

impl<T: Item> Blocks<T> {
    /// What the head of the file says.
    fn check(&self) {
        let mut before = None;
        for (n, block) in self.blocks.iter().enumerate() {
            let len = block.rows.len();
            assert!(len <= MOST && (len > 0 || self.blocks.len() == 1), "block {n}: {len}");
            let room = match &*block.rows {
                Rows::Near { rows, .. } => rows.capacity(),
                Rows::Far(rows) => rows.capacity(),
            };
            assert!(room <= 64 || len > room / 4, "block {n} keeps room for {room}: {len}");
            for at in 0..len {
                let id = block.rows.get(at).unwrap().id();
                assert!(block.from <= id && before.is_none_or(|before| before < id));
                before = Some(id);
            }
            let next = self.blocks.get(n + 1);
            assert!(next.is_none_or(|next| before.is_none_or(|before| before < next.from)));
        }
        assert_eq!(self.iter().count(), self.len);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u64),
    PutRun(u64, u64),
    Append(u64),
    Far(u64),
    RemoveRun(u64, u64),
    RemoveEach(u64, u64),
    TakeFirst(u64),
    Take(u64),
    Copy,
}

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..3_000u64;
    prop_oneof![
        at().prop_map(Step::Put),
        (at(), 1..900u64).prop_map(|(at, len)| Step::PutRun(at, len)),
        (1..900u64).prop_map(Step::Append),
        at().prop_map(Step::Far),
        (at(), 1..900u64).prop_map(|(at, len)| Step::RemoveRun(at, len)),
        (at(), 2..9u64).prop_map(|(at, step)| Step::RemoveEach(at, step)),
        (1..900u64).prop_map(Step::TakeFirst),
        at().prop_map(Step::Take),
        Just(Step::Copy),
    ]
}

/// Near IDs, and some whose sequence number is too large to be near to anything.
fn id(n: u64) -> EntryId {
    EntryId { ms: n / 7, seq: n % 7 }
}

fn far(n: u64) -> EntryId {
    EntryId { ms: n, seq: u64::MAX - n }
}

type Plain = BTreeMap<EntryId, ()>;

/// Does one step to both. Returns what it takes out.
fn go(step: &Step, blocks: &mut Blocks<EntryId>, plain: &mut Plain) -> Vec<EntryId> {
    let put = |blocks: &mut Blocks<EntryId>, plain: &mut Plain, id| {
        assert_eq!(blocks.put(id).is_some(), plain.insert(id, ()).is_some());
    };
    match *step {
        Step::Put(n) => put(blocks, plain, id(n)),
        Step::PutRun(n, len) => (n..n + len).for_each(|n| put(blocks, plain, id(n))),
        Step::Append(len) => {
            let last = plain.keys().next_back().map_or(0, |last| last.ms);
            let ids: Vec<EntryId> = (1..=len).map(|n| EntryId::new(last + n, n)).collect();
            blocks.append(ids.iter().copied(), u64::MAX);
            plain.extend(ids.into_iter().map(|id| (id, ())));
        }
        Step::Far(n) => put(blocks, plain, far(n)),
        Step::RemoveRun(n, len) => return (n..n + len).map(id).collect(),
        Step::RemoveEach(n, step) => {
            let every = |id: &EntryId| id.seq.is_multiple_of(step) && id.ms >= n / 7;
            return plain.keys().copied().filter(every).collect();
        }
        Step::TakeFirst(count) => {
            for _ in 0..count {
                let first = plain.pop_first().map(|(id, ())| id);
                assert_eq!(blocks.first(), first);
                assert_eq!(first.and_then(|id| blocks.take(id)), first);
            }
        }
        Step::Take(n) => {
            for id in [id(n), far(n)] {
                let there = plain.remove(&id).map(|()| id);
                assert_eq!(blocks.contains(id), there.is_some());
                assert_eq!(blocks.take(id), there);
            }
        }
        Step::Copy => {}
    }
    Vec::new()
}

proptest! {
    #[test]
    fn blocks_are_a_map(steps in prop::collection::vec(step(), 1..40)) {
        let mut blocks: Blocks<EntryId> = Blocks::default();
        let mut plain = Plain::new();
        let mut copies = Vec::new();
        for step in steps {
            if let Step::Copy = step {
                copies.push((blocks.freeze(), plain.clone()));
            }
            let mut remove = go(&step, &mut blocks, &mut plain);
            let (mut found, mut gone) = (Vec::new(), Vec::new());
            blocks.find_all(&remove, |id| found.push(id));
            prop_assert!(found.iter().all(|id| plain.contains_key(id)));
            blocks.remove_all(&remove, |id| gone.push(id));
            remove.retain(|id| plain.remove(id).is_some());
            prop_assert_eq!(&gone, &remove);
            prop_assert_eq!(found, remove);
            blocks.check();
        }
        copies.push((blocks.freeze(), plain.clone()));
        prop_assert!(blocks.iter().eq(plain.keys().copied()));
        prop_assert_eq!(blocks.first(), plain.keys().next().copied());
        prop_assert_eq!(blocks.last(), plain.keys().next_back().copied());
        let bounds = || (0..3_000).step_by(97).flat_map(|n| [id(n), far(n)]);
        for id in bounds() {
            prop_assert_eq!(blocks.get(id).is_some(), plain.contains_key(&id));
            for from in [Bound::Included(id), Bound::Excluded(id)] {
                let found = plain.range((from, Bound::Unbounded)).next();
                prop_assert_eq!(blocks.from(from).next(), found.map(|(id, ())| *id));
            }
        }
        for (copy, plain) in copies {
            prop_assert!(copy.from(Bound::Unbounded).eq(plain.keys().copied()));
            for id in bounds() {
                for from in [Bound::Included(id), Bound::Excluded(id)] {
                    let found = plain.range((from, Bound::Unbounded)).map(|(id, ())| *id);
                    prop_assert!(copy.from(from).take(700).eq(found.take(700)));
                }
            }
        }
    }
}

#[test]
fn what_comes_in_order_fills_its_blocks() {
    let mut blocks = Blocks::default();
    (0..10_000).for_each(|n| assert!(blocks.put(id(n)).is_none()));
    assert_eq!(blocks.blocks.len(), 10_000_usize.div_ceil(MOST));
    // Acknowledged here and there: what is left moves together.
    let gone: Vec<EntryId> = (0..10_000).filter(|n| n % 10 != 0).map(id).collect();
    gone.iter().for_each(|id| blocks.remove_all(&[*id], drop));
    blocks.check();
    assert!(blocks.blocks.len() <= 8, "{} blocks of 1,000 items", blocks.blocks.len());
}

#[test]
fn a_copy_shares_what_did_not_change() {
    let mut blocks = Blocks::default();
    (0..10_000).for_each(|n| assert!(blocks.put(id(n)).is_none()));
    let copy = blocks.freeze();
    blocks.remove_all(&[id(5_000)], drop);
    let shared = |(a, b): &(&Block<EntryId>, &Arc<Rows<EntryId>>)| match &a.rows {
        Held::Shared(a) => Arc::ptr_eq(a, b),
        Held::Own(_) => false,
    };
    let same = blocks.blocks.iter().zip(copy.rows()).filter(shared).count();
    assert_eq!(same, blocks.blocks.len() - 1);
    assert_eq!((copy.from(Bound::Unbounded).count(), blocks.len()), (10_000, 9_999));
}
