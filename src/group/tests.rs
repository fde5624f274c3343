//! Random commands against the naive model, and checkpoints at any point.

use super::Groups;
use super::model::{Rig, restored};
use super::naive::Naive;
use crate::id::EntryId;
use crate::options::{ClaimOptions, NackMode, NackOptions, PendingFilter};
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::Duration;

const GROUPS: [&str; 2] = ["g", "h"];
const CONSUMERS: [&str; 3] = ["", "alice", "bob"];

#[derive(Clone, Debug)]
enum Step {
    Add(bool),
    Delete(EntryId),
    Trim(usize),
    Wait(u64),
    ClockBack(u64),
    Create(&'static str, EntryId, Option<u64>),
    Destroy(&'static str),
    Set(&'static str, EntryId, Option<u64>),
    NewConsumer(&'static str, &'static str),
    RemoveConsumer(&'static str, &'static str),
    Read(&'static str, &'static str, usize, bool, Option<u64>),
    History(&'static str, &'static str, EntryId, usize),
    Ack(&'static str, Vec<EntryId>),
    Nack(&'static str, Vec<EntryId>, NackMode, NackOptions),
    Claim(&'static str, &'static str, Vec<EntryId>, ClaimOptions, bool),
    Auto(&'static str, &'static str, u64, EntryId, u64, bool),
    Look(&'static str, EntryId, EntryId, usize, u64, Option<&'static str>),
    Checkpoint,
}

fn any_id() -> impl Strategy<Value = EntryId> {
    (0..12u64, 0..3u64).prop_map(EntryId::from)
}

fn group() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&GROUPS[..])
}

// The owner "" stands for nobody in the naive model, so no consumer has that name.
fn who() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&CONSUMERS[1..])
}

fn claim_options() -> impl Strategy<Value = ClaimOptions> {
    let time = prop_oneof![
        Just(None),
        (0..200u64).prop_map(|ms| Some((true, ms))),
        (0..2000u64).prop_map(|ms| Some((false, ms)))
    ];
    let retry = prop::option::of(prop_oneof![0..5u64, Just(u64::MAX), Just(i64::MAX as u64)]);
    let last_id = prop::option::weighted(0.2, any_id());
    (0..100u64, time, retry, any::<bool>(), last_id).prop_map(
        |(idle, time, retry, force, last_id)| {
            let mut options = ClaimOptions::new(Duration::from_millis(idle));
            match time {
                Some((true, ms)) => options = options.idle(Duration::from_millis(ms * 10)),
                Some((false, ms)) => options = options.time_ms(ms),
                None => {}
            }
            if let Some(count) = retry {
                options = options.retry_count(count);
            }
            if force {
                options = options.force();
            }
            if let Some(id) = last_id {
                options = options.last_id(id);
            }
            options
        },
    )
}

fn claim_idle() -> impl Strategy<Value = Option<u64>> {
    prop::option::weighted(0.4, prop_oneof![9 => 0..100u64, 1 => Just(u64::MAX)])
}

fn nack() -> impl Strategy<Value = (NackMode, NackOptions)> {
    let modes = vec![NackMode::Silent, NackMode::Fail, NackMode::Fatal];
    let retry_count = prop::option::weighted(0.2, prop_oneof![0..3u64, Just(u64::MAX)]);
    (prop::sample::select(modes), retry_count, any::<bool>())
        .prop_map(|(mode, retry_count, force)| (mode, NackOptions { retry_count, force }))
}

fn step() -> impl Strategy<Value = Step> {
    let read = prop::option::of(0..20u64);
    prop_oneof![
        6 => any::<bool>().prop_map(Step::Add),
        2 => any_id().prop_map(Step::Delete),
        1 => (0..6usize).prop_map(Step::Trim),
        3 => (0..80u64).prop_map(Step::Wait),
        1 => (0..80u64).prop_map(Step::ClockBack),
        1 => (group(), any_id(), read.clone()).prop_map(|(g, i, r)| Step::Create(g, i, r)),
        1 => prop::option::weighted(0.3, group())
            .prop_map(|g| g.map_or(Step::Checkpoint, Step::Destroy)),
        1 => (group(), any_id(), read).prop_map(|(g, i, r)| Step::Set(g, i, r)),
        1 => (group(), who()).prop_map(|(g, c)| Step::NewConsumer(g, c)),
        1 => (group(), who()).prop_map(|(g, c)| Step::RemoveConsumer(g, c)),
        6 => (group(), who(), 0..4usize, prop::bool::weighted(0.2), claim_idle())
            .prop_map(|(g, c, n, a, m)| Step::Read(g, c, n, a, m)),
        2 => (group(), who(), any_id(), 0..4usize)
            .prop_map(|(g, c, i, n)| Step::History(g, c, i, n)),
        3 => (group(), vec(any_id(), 0..5)).prop_map(|(g, i)| Step::Ack(g, i)),
        3 => (group(), vec(any_id(), 0..4), nack())
            .prop_map(|(g, i, (m, o))| Step::Nack(g, i, m, o)),
        4 => (group(), who(), vec(any_id(), 0..6), claim_options(), any::<bool>())
            .prop_map(|(g, c, i, o, j)| Step::Claim(g, c, i, o, j)),
        3 => (group(), who(), 0..60u64, any_id(), 1..4u64, any::<bool>())
            .prop_map(|(g, c, m, i, n, j)| Step::Auto(g, c, m, i, n, j)),
        2 => (group(), any_id(), any_id(), 0..5usize, 0..60u64,
              prop::option::of(prop::sample::select(&CONSUMERS[1..])))
            .prop_map(|(g, a, b, n, m, c)| Step::Look(g, a, b, n, m, c)),
    ]
}

/// Does one step on both sides and compares what they answer.
fn both(rig: &mut Rig, naive: &mut Naive, step: &Step) -> Result<(), TestCaseError> {
    let of = match step {
        Step::Destroy(g) | Step::Set(g, ..) | Step::NewConsumer(g, _) => Some(g),
        Step::RemoveConsumer(g, _) | Step::Read(g, ..) | Step::History(g, ..) => Some(g),
        Step::Ack(g, _) | Step::Nack(g, ..) | Step::Claim(g, ..) => Some(g),
        Step::Auto(g, ..) | Step::Look(g, ..) => Some(g),
        _ => None,
    };
    if of.is_some_and(|name| rig.groups.find(name.as_bytes()).is_none()) {
        return Ok(());
    }
    let now = rig.now;
    match step {
        Step::Add(same_ms) => {
            let last = rig.log.last_id;
            let next = (last.ms + 1, 0);
            let next = if *same_ms { (last.ms, last.seq + 1) } else { next };
            rig.log.add(next.into());
        }
        Step::Delete(id) => rig.log.delete(*id),
        Step::Trim(entries) => rig.log.trim_to(*entries),
        Step::Wait(ms) => rig.now += ms,
        Step::ClockBack(ms) => rig.now = now.saturating_sub(*ms),
        Step::Checkpoint => prop_assert_eq!(&restored(&rig.groups), &rig.groups),
        Step::Create(name, at, read) => {
            let made = rig.create(name, *at, *read);
            prop_assert_eq!(made, naive.create(&rig.log, name, *at, *read));
        }
        Step::Destroy(name) => {
            let event = rig.group(name).remove();
            rig.apply(vec![event]);
            naive.groups.retain(|group| group.name != *name);
        }
        Step::Set(name, at, read) => {
            rig.set(name, *at, *read);
            naive.group(name).set(&rig.log, *at, *read);
        }
        Step::NewConsumer(g, who) => {
            let event = rig.group(g).create_consumer(who.as_bytes(), now).unwrap();
            rig.apply(event.into_iter().collect());
            naive.group(g).consumer(who, now, false);
        }
        Step::RemoveConsumer(g, who) => {
            let removed = rig.group(g).remove_consumer(who.as_bytes());
            let count = removed.as_ref().map(|(_, count)| *count);
            rig.apply(removed.into_iter().map(|(event, _)| event).collect());
            prop_assert_eq!(count, naive.group(g).remove_consumer(who));
        }
        other => entries(rig, naive, other)?,
    }
    Ok(())
}

fn entries(rig: &mut Rig, naive: &mut Naive, step: &Step) -> Result<(), TestCaseError> {
    let now = rig.now;
    match step {
        Step::Read(g, who, count, no_ack, claim) => {
            let read = rig.read_with(g, who, *count, *no_ack, *claim);
            let naive = naive.group(g).read(&rig.log, who, *count, *no_ack, *claim, now);
            prop_assert_eq!(read, naive);
        }
        Step::History(g, who, after, count) => {
            let read = rig.history(g, who, *after, *count);
            prop_assert_eq!(read, naive.group(g).history(&rig.log, who, *after, *count, now));
        }
        Step::Ack(g, ids) => prop_assert_eq!(rig.ack(g, ids), naive.group(g).ack(ids)),
        Step::Nack(g, ids, mode, options) => {
            let count = rig.nack(g, ids, *mode, *options);
            prop_assert_eq!(count, naive.group(g).nack(&rig.log, ids, *mode, *options));
        }
        Step::Claim(g, who, ids, options, just) => {
            let claimed = rig.claim(g, who, ids, options, *just);
            let expected = naive.group(g).claim(&rig.log, who, ids, options, *just, now);
            prop_assert_eq!(claimed, expected);
        }
        Step::Auto(g, who, idle, start, count, just) => {
            let claimed = rig.auto(g, who, *idle, *start, *count, *just);
            let naive = naive.group(g);
            let expected = naive.auto(&rig.log, who, *idle, *start, *count, *just, now);
            prop_assert_eq!(claimed, expected);
        }
        Step::Look(g, first, last, count, idle, who) => {
            let mut filter = PendingFilter::new().count(*count);
            filter = filter.min_idle(Duration::from_millis(*idle));
            if let Some(who) = who {
                filter = filter.consumer(who);
            }
            let found = rig.group(g).pending_range(*first, *last, &filter, now);
            let naive = naive.group(g).pending(*first, *last, *count, *idle, *who, now);
            prop_assert_eq!(found, naive);
        }
        _ => {}
    }
    Ok(())
}

fn compare(rig: &Rig, naive: &mut Naive) -> Result<(), TestCaseError> {
    naive.groups.sort_by(|a, b| a.name.cmp(&b.name));
    let infos: Vec<_> = naive.groups.iter().map(|group| group.info(&rig.log)).collect();
    prop_assert_eq!(rig.groups.infos(&rig.log.facts()), infos);
    for naive in &mut naive.groups {
        let group = rig.group(&naive.name);
        let consumers = naive.consumer_infos(rig.now);
        prop_assert_eq!(group.consumer_infos(rig.now), consumers.clone());
        let all = PendingFilter::new();
        let found = group.pending_range(EntryId::MIN, EntryId::MAX, &all, rig.now);
        let expected = naive.pending(EntryId::MIN, EntryId::MAX, usize::MAX, 0, None, rig.now);
        prop_assert_eq!(&found, &expected);
        let zone: Vec<_> = group.pending.given_back().map(|record| record.id).collect();
        prop_assert_eq!(zone, naive.zone());
        let summary = group.pending_summary();
        prop_assert_eq!(summary.count, expected.len() as u64);
        prop_assert_eq!(summary.first, expected.first().map(|pending| pending.id));
        prop_assert_eq!(summary.last, expected.last().map(|pending| pending.id));
        let of = consumers.into_iter().filter(|consumer| consumer.pending > 0);
        let of: Vec<_> = of.map(|consumer| (consumer.name, consumer.pending)).collect();
        prop_assert_eq!(summary.consumers, of);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_machine_does_what_the_naive_model_does(steps in vec(step(), 1..80)) {
        let mut rig = Rig::with(3);
        let mut naive = Naive::default();
        for name in GROUPS {
            rig.create(name, EntryId::MIN, None);
            naive.create(&rig.log, name, EntryId::MIN, None);
        }
        for step in &steps {
            both(&mut rig, &mut naive, step)?;
            compare(&rig, &mut naive)?;
        }
    }

    #[test]
    fn a_checkpoint_and_the_events_after_it_equal_the_full_replay(
        steps in vec(step(), 1..80),
        at in any::<prop::sample::Index>(),
    ) {
        let mut rig = Rig::with(3);
        let mut naive = Naive::default();
        rig.create("g", EntryId::MIN, None);
        naive.create(&rig.log, "g", EntryId::MIN, None);
        for step in &steps {
            both(&mut rig, &mut naive, step)?;
        }
        let cut = at.index(rig.journal.len() + 1);
        let mut replayed = Groups::default();
        rig.journal[..cut].iter().for_each(|event| replayed.apply(event));
        let mut from_checkpoint = restored(&replayed);
        for event in &rig.journal[cut..] {
            replayed.apply(event);
            from_checkpoint.apply(event);
        }
        prop_assert_eq!(&replayed, &rig.groups);
        prop_assert_eq!(&from_checkpoint, &rig.groups);
    }
}
