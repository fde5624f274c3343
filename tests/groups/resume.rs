//! A group's next read goes on where its last one ended. Whatever happened in between, it gives
//! what a search for its last-delivered ID gives.

use proptest::prelude::*;
use proptest::sample::Index;
use std::ops::Bound;
use streamlog::{
    Durability, EntryId, Group, GroupReadOptions, NewEntries, Start, Store, Stream, StreamOptions,
    Trim,
};

#[derive(Clone, Debug)]
enum Op {
    Append(usize),
    Batch(usize),
    Delete(Index),
    Trim(Index),
    /// Of one of two groups, so many.
    Read(bool, usize),
    Move(bool, Index),
    /// Everything goes, and IDs begin again lower.
    SetBack(Index),
    Again(bool),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (1..400usize).prop_map(Op::Append),
        2 => (1..12usize).prop_map(Op::Batch),
        2 => any::<Index>().prop_map(Op::Delete),
        1 => any::<Index>().prop_map(Op::Trim),
        8 => (any::<bool>(), 1..5usize).prop_map(|(group, count)| Op::Read(group, count)),
        1 => (any::<bool>(), any::<Index>()).prop_map(|(group, to)| Op::Move(group, to)),
        1 => any::<Index>().prop_map(Op::SetBack),
        1 => any::<bool>().prop_map(Op::Again),
    ];
    proptest::collection::vec(op, 1..120)
}

fn ids(stream: &Stream) -> Vec<EntryId> {
    stream.range(..).map(|entry| entry.unwrap().id()).collect()
}

fn check(group: &Group, stream: &Stream, count: usize) {
    let after = group.info().unwrap().last_delivered_id;
    let above = (Bound::Excluded(after), Bound::Unbounded);
    let due: Vec<EntryId> =
        stream.range(above).take(count).map(|entry| entry.unwrap().id()).collect();
    let read = group.consumer("c").unwrap().read(GroupReadOptions::new().count(count)).unwrap();
    assert_eq!(read.ids().collect::<Vec<_>>(), due, "behind {after}");
}

fn run(ops: &[Op]) {
    let store = Store::options().durability(Durability::Manual).open_in_memory().unwrap();
    let small = StreamOptions::new().segment_bytes(4096).max_entry_bytes(1000).block_entries(7);
    let stream = store.stream_with("s", small).unwrap();
    let names = |second: &bool| if *second { "b" } else { "a" };
    let group = |second: &bool| stream.group(names(second), Start::First).unwrap();
    let next = || EntryId::new(stream.info().unwrap().last_id.ms + 1, 0);
    for op in ops {
        let live = ids(&stream);
        let some = |index: &Index| live.get(index.index(live.len().max(1))).copied();
        match op {
            Op::Append(bytes) => {
                let at = streamlog::AppendOptions::new().id(next());
                stream.append_with([("v", vec![7; *bytes])], at).unwrap();
            }
            Op::Batch(entries) => {
                let (mut batch, first) = (NewEntries::new(), next());
                for n in 0..*entries {
                    let at = EntryId::new(first.ms, n as u64);
                    batch.push_with(at, [("v", "x")]).unwrap();
                }
                stream.append_batch(&batch).unwrap();
            }
            Op::Delete(which) => drop(some(which).map(|id| stream.delete([id]).unwrap())),
            Op::Trim(to) => drop(some(to).map(|id| stream.trim(Trim::min_id(id)).unwrap())),
            Op::Read(second, count) => check(&group(second), &stream, *count),
            Op::Move(second, to) => {
                let to = some(to).map_or(Start::Last, Start::After);
                group(second).set_id(to).unwrap();
            }
            Op::SetBack(to) => {
                let last = stream.info().unwrap().last_id;
                let to = some(to).unwrap_or(EntryId::new(1, 0));
                stream.trim(Trim::max_len(0)).unwrap();
                stream.set_id(last.max(to), None, Some(to)).unwrap();
                stream.set_id(to, None, None).unwrap();
            }
            Op::Again(second) => {
                stream.remove_group(names(second)).unwrap();
            }
        }
    }
    for second in [false, true] {
        check(&group(&second), &stream, usize::MAX);
    }
}

/// Fails if `Resume::walk` (src/storage/cursor/resume.rs) goes on whatever the group's last-delivered ID
/// is, or in the segment that now has the place of the one it was in.
#[test]
fn a_group_reads_on_as_if_it_had_searched() {
    let cases = if cfg!(debug_assertions) { 100 } else { 3_000 };
    let config = ProptestConfig { cases, failure_persistence: None, ..Default::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let holds = |ops: Vec<Op>| {
        run(&ops);
        Ok(())
    };
    runner.run(&ops(), holds).unwrap();
}
