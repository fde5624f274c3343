//! Plays the operations on groups and consumers, and compares what they answer.

use std::time::Duration;
use streamlog::{ClaimOptions, Delivery, EntryId, GroupReadOptions, PendingFilter, ReadFrom};

use crate::compare::{HOUR, check_pending};
use crate::groups::{Age, AutoClaimed, Claim, NaiveGroup, Record};
use crate::naive::NaiveEntry;
use crate::op::{Begin, CONSUMERS, ClaimHow, Edge, GROUPS, Pick, Then, When, Who};
use crate::reads::{bounds, check_bytes, within};
use crate::run::{Checked, Run, answer, good, holds, now_ms, plain, same};

impl Run {
    pub(crate) fn create_group(
        &mut self,
        who: Who,
        start: Begin,
        read: Option<u8>,
        or_get: bool,
    ) -> Checked {
        let Some(handle) = self.stream(who.stream)? else {
            return Ok(());
        };
        let name = GROUPS[who.group];
        let (start, last) = self.begin(who.stream, start);
        let there = self.model(who.stream).groups.contains_key(name);
        let read = read.map(u64::from).filter(|_| !or_get);
        let made = match (or_get, read) {
            (true, _) => handle.group(name, start),
            (false, None) => handle.create_group(name, start),
            (false, _) => handle.create_group_with(name, start, read),
        };
        let made = answer(made.map(|group| group.name().to_vec()));
        if there && !or_get {
            return same("create_group", made, Err("GroupExists".into()));
        }
        same("create_group", made, Ok(name.as_bytes().to_vec()))?;
        let model = self.model(who.stream);
        if !there {
            let group = NaiveGroup::new(model, last, read);
            model.groups.insert(name, group);
        }
        Ok(())
    }

    pub(crate) fn set_group(&mut self, who: Who, to: Begin, read: Option<u8>) -> Checked {
        let Some((group, _)) = self.consumer(who)? else {
            return Ok(());
        };
        let (start, last) = self.begin(who.stream, to);
        let read = read.map(u64::from);
        match read {
            None => good("set_id of the group", group.set_id(start))?,
            read => good("set_id_with of the group", group.set_id_with(start, read))?,
        }
        self.group(who, |stream, group| group.set(stream, last, read));
        Ok(())
    }

    pub(crate) fn remove_group(&mut self, who: Who) -> Checked {
        let Some(handle) = self.stream(who.stream)? else {
            return Ok(());
        };
        let name = GROUPS[who.group];
        let old = good("get_group", handle.get_group(name))?;
        let removed = good("remove_group", handle.remove_group(name))?;
        same("remove_group", removed, self.model(who.stream).groups.remove(name).is_some())?;
        match old {
            Some(old) => same("a removed group", answer(old.pending()), Err("NoGroup".into())),
            None => Ok(()),
        }
    }

    pub(crate) fn create_consumer(&mut self, who: Who) -> Checked {
        let Some((group, _)) = self.consumer(who)? else {
            return Ok(());
        };
        let name = CONSUMERS[who.consumer];
        let made = good("create_consumer", group.create_consumer(name))?;
        same("create_consumer", made, self.group(who, |_, group| group.consumers.insert(name)))
    }

    pub(crate) fn remove_consumer(&mut self, who: Who) -> Checked {
        let Some((group, _)) = self.consumer(who)? else {
            return Ok(());
        };
        let name = CONSUMERS[who.consumer];
        let removed = good("remove_consumer", group.remove_consumer(name))?;
        same("remove_consumer", removed, self.group(who, |_, group| group.remove_consumer(name)))
    }

    /// The entries of these IDs as the stream has them.
    fn entries(&mut self, stream: usize, ids: &[EntryId]) -> Vec<NaiveEntry> {
        let model = self.model(stream);
        let find = |id: &EntryId| model.entries.iter().find(|(other, _)| other == id).cloned();
        ids.iter().filter_map(find).collect()
    }

    pub(crate) fn check_delivery(
        &mut self,
        who: Who,
        delivery: &Delivery,
        ids: &[EntryId],
    ) -> Checked {
        let found: Vec<NaiveEntry> = delivery.iter().map(|e| plain(&e.to_entry())).collect();
        let wanted = self.entries(who.stream, ids);
        same("the entries delivered", found.len(), ids.len())?;
        same("the entries delivered", found, wanted)
    }

    /// What a consumer does with what it has read.
    pub(crate) fn then(
        &mut self,
        who: Who,
        then: Then,
        delivery: Delivery,
        missing: &[EntryId],
    ) -> Checked {
        let ids: Vec<EntryId> = delivery.ids().collect();
        match (then, ids.first()) {
            (Then::AckFirst, Some(first)) => {
                let acked = good("ack of a delivery", delivery.ack(*first))?;
                let wanted = self.group(who, |_, group| group.ack(&[*first])) > 0;
                same("ack of a delivery", acked, wanted)
            }
            (Then::AckAll, _) => {
                let acked = good("ack_all", delivery.ack_all())?;
                let all: Vec<EntryId> = ids.iter().chain(missing).copied().collect();
                same("ack_all", acked, self.group(who, |_, group| group.ack(&all)))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn read_new(
        &mut self,
        who: Who,
        (count, bytes): (u8, u16),
        no_ack: bool,
        then: Then,
    ) -> Checked {
        let Some((_, consumer)) = self.consumer(who)? else {
            return Ok(());
        };
        let (count, bytes) = (usize::from(count), usize::from(bytes));
        let mut options = GroupReadOptions::new().count(count).bytes(bytes);
        if no_ack {
            options = options.no_ack();
        }
        let delivery = good("read of a consumer", consumer.read(options))?;
        let mut ids = self.group(who, |stream, group| group.new_ones(stream, count));
        let there = self.entries(who.stream, &ids);
        check_bytes(&[(Vec::new(), there)], delivery.len(), bytes)?;
        ids.truncate(delivery.len());
        self.check_delivery(who, &delivery, &ids)?;
        let name = CONSUMERS[who.consumer];
        self.group(who, |stream, group| group.deliver(stream, name, &ids, no_ack));
        self.then(who, then, delivery, &[])
    }

    pub(crate) fn history(&mut self, who: Who, after: Pick, count: u8, then: Then) -> Checked {
        let Some((_, consumer)) = self.consumer(who)? else {
            return Ok(());
        };
        let (after, count) = (self.pick(who.stream, after), usize::from(count));
        let delivery = good("history", consumer.history(after, count))?;
        let missing = self.check_history(who, after, count, &delivery)?;
        self.then(who, then, delivery, &missing)
    }

    fn check_history(
        &mut self,
        who: Who,
        after: EntryId,
        count: usize,
        delivery: &Delivery,
    ) -> Checked<Vec<EntryId>> {
        let name = CONSUMERS[who.consumer];
        let (live, missing) =
            self.group(who, |stream, group| group.history(stream, name, after, count));
        same("missing in a history", delivery.missing(), &missing[..])?;
        self.check_delivery(who, delivery, &live)?;
        Ok(missing)
    }

    pub(crate) fn read_groups(
        &mut self,
        from: &[(Who, Option<Pick>)],
        count: u8,
        no_ack: bool,
    ) -> Checked {
        let mut asked = Vec::new();
        for (who, history) in from {
            if let Some((_, consumer)) = self.consumer(*who)? {
                let after = history.map(|pick| self.pick(who.stream, pick));
                asked.push((*who, consumer, after));
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let what = |after: &Option<EntryId>| after.map_or(ReadFrom::New, ReadFrom::History);
        let from: Vec<_> =
            asked.iter().map(|(_, consumer, after)| (consumer, what(after))).collect();
        let count = usize::from(count);
        let mut options = GroupReadOptions::new().count(count);
        if no_ack {
            options = options.no_ack();
        }
        let found = good("read_group", self.store().read_group(&from, options))?;
        let mut found = found.into_iter();
        for (who, _, after) in &asked {
            let name = CONSUMERS[who.consumer];
            match after {
                Some(after) => {
                    let (_, delivery) = found.next().ok_or("a history is left out")?;
                    self.check_history(*who, *after, count, &delivery)?;
                }
                None => {
                    let ids = self.group(*who, |stream, group| group.new_ones(stream, count));
                    if !ids.is_empty() {
                        let (_, delivery) = found.next().ok_or("a stream is left out")?;
                        self.check_delivery(*who, &delivery, &ids)?;
                    }
                    self.group(*who, |stream, group| group.deliver(stream, name, &ids, no_ack));
                }
            }
        }
        holds("read_group gave more", found.next().is_none(), asked.len())
    }

    pub(crate) fn ack(&mut self, who: Who, ids: &[Pick]) -> Checked {
        let Some((group, _)) = self.consumer(who)? else {
            return Ok(());
        };
        let ids = self.picks(who.stream, ids);
        let acked = good("ack", group.ack(ids.iter().copied()))?;
        same("ack", acked, self.group(who, |_, group| group.ack(&ids)))
    }

    pub(crate) fn pending_range(
        &mut self,
        who: Who,
        edges: (Edge, Edge),
        count: Option<u8>,
        (old, own): (bool, bool),
    ) -> Checked {
        let Some((group, _)) = self.consumer(who)? else {
            return Ok(());
        };
        let bounds = bounds(self, who.stream, edges);
        let name = CONSUMERS[who.consumer];
        let mut filter = PendingFilter::new();
        if old {
            filter = filter.min_idle(HOUR);
        }
        if own {
            filter = filter.consumer(name);
        }
        if let Some(count) = count {
            filter = filter.count(usize::from(count));
        }
        let found = good("pending_range", group.pending_range(bounds, filter))?;
        let listed = |r: &Record| {
            within(r.id, bounds) && (!old || !r.is_fresh()) && (!own || r.owner == name)
        };
        let most = count.map_or(usize::MAX, usize::from);
        let wanted: Vec<Record> = self.group(who, |_, group| {
            group.pending.iter().filter(|r| listed(r)).take(most).cloned().collect()
        });
        check_pending(&found, &wanted)
    }

    pub(crate) fn claim(&mut self, who: Who, ids: &[Pick], how: &ClaimHow) -> Checked {
        let Some((_, consumer)) = self.consumer(who)? else {
            return Ok(());
        };
        let ids = self.picks(who.stream, ids);
        let last_id = how.last_id.map(|pick| self.pick(who.stream, pick));
        let retry = how.retry.map(u64::from);
        let mut options = ClaimOptions::new(if how.old_only { HOUR } else { Duration::ZERO });
        options = match how.when {
            When::Now => options,
            When::LongAgo => options.idle(2 * HOUR),
            When::LongAgoAt => options.time_ms(now_ms() - 2 * HOUR.as_millis() as u64),
            When::Future => options.time_ms(now_ms() + HOUR.as_millis() as u64),
        };
        if let Some(retry) = retry {
            options = options.retry_count(retry);
        }
        if how.force {
            options = options.force();
        }
        if let Some(last_id) = last_id {
            options = options.last_id(last_id);
        }
        let old = matches!(how.when, When::LongAgo | When::LongAgoAt);
        let claim = Claim {
            old_only: how.old_only,
            age: if old { Age::Old } else { Age::Fresh },
            retry,
            force: how.force,
            last_id,
            ids_only: how.ids_only,
        };
        let name = CONSUMERS[who.consumer];
        let wanted = self.group(who, |stream, group| group.claim(stream, name, &ids, &claim));
        if how.ids_only {
            return same("claim_ids", answer(consumer.claim_ids(ids, options)), Ok(wanted));
        }
        let delivery = match (how.when, retry, how.force, last_id, how.old_only) {
            (When::Now, None, false, None, false) => consumer.claim(ids, Duration::ZERO),
            _ => consumer.claim_with(ids, options),
        };
        let delivery = good("claim", delivery)?;
        same("claimed", delivery.ids().collect::<Vec<_>>(), wanted.clone())?;
        self.check_delivery(who, &delivery, &wanted)
    }

    pub(crate) fn auto_claim(
        &mut self,
        who: Who,
        from: Pick,
        (old_only, ids_only): (bool, bool),
        count: u8,
    ) -> Checked {
        let Some((_, consumer)) = self.consumer(who)? else {
            return Ok(());
        };
        let (from, count) = (self.pick(who.stream, from), usize::from(count));
        let min_idle = if old_only { HOUR } else { Duration::ZERO };
        let mut delivery = None;
        let got = match ids_only {
            true => consumer.auto_claim_ids(from, min_idle, count).map(|found| AutoClaimed {
                claimed: found.ids,
                deleted: found.deleted,
                next: found.next,
            }),
            false => consumer.auto_claim(from, min_idle, count).map(|found| {
                let claimed = found.delivery.ids().collect();
                delivery = Some(found.delivery);
                AutoClaimed { claimed, deleted: found.deleted, next: found.next }
            }),
        };
        if count == 0 {
            let class = answer(got.map(|_| ()));
            return same("auto_claim of nothing", class, Err("InvalidArgument".into()));
        }
        let (name, how) = (CONSUMERS[who.consumer], (old_only, ids_only));
        let wanted =
            self.group(who, |stream, group| group.auto_claim(stream, name, from, how, count));
        let claimed = wanted.claimed.clone();
        same("auto_claim", answer(got), Ok(wanted))?;
        match delivery {
            Some(delivery) => self.check_delivery(who, &delivery, &claimed),
            None => Ok(()),
        }
    }
}
