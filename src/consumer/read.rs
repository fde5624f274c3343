//! Reading as a consumer: new entries, history, over one stream or several, blocking or not.

use super::*;
use crate::format::event::{PendingRecord, Single};
use crate::notify::{Class, Registration, Waiter, Wake};
use crate::sync::Deadline;
use crate::wait::deadline;
use std::collections::HashSet;

/// What one look at one stream gave.
struct Looked {
    delivery: Delivery,
    /// There may be more for others of the group.
    more: bool,
    /// A history is an answer even if it is empty.
    answered: bool,
}

impl Consumer {
    /// Reads entries that were never delivered to the group, which are pending for this consumer
    /// from then on (XREADGROUP with `>`). Waits if the options say so; an elapsed wait gives an
    /// empty delivery.
    ///
    /// # Errors
    /// `NoGroup`, `Poisoned`, `StorageFull` (nothing was delivered), `Corrupt`, `NoStream` and
    /// `Closed` (also while waiting).
    #[doc(alias = "XREADGROUP")]
    pub fn read(&self, options: GroupReadOptions) -> Result<Delivery> {
        let deadline = deadline(options.read.block);
        if deadline.is_none() || !self.must_queue() {
            let now = self.group.shared().disk.now_ms();
            let mut budget = Budget::of(&options.read);
            if budget.is_for_one()
                && options.claim.is_none()
                && let Some(delivery) = self.look_for_one(now, options.no_ack)?
            {
                return Ok(delivery);
            }
            let looked = self.look_at_all(now, &mut budget, &options)?;
            if deadline.is_none() || looked.answered {
                return Ok(looked.delivery);
            }
        }
        let from = &[(self, ReadFrom::New)];
        let found = deadline.map(|deadline| wait_group(from, options, deadline)).transpose()?;
        match found.and_then(|mut found| found.pop()) {
            Some((_, delivery)) => Ok(delivery),
            None => {
                let segments = self.group.of.stream.snapshot()?.span.segments;
                let claims = options.claim.map(|_| Vec::new());
                let none = Delivery::new(&self.group, segments, Few::default());
                Ok(none.with_claims(claims))
            }
        }
    }

    /// The entries that are pending for this consumer, after an ID (XREADGROUP with an ID). A count
    /// of 0 is no limit. Each counts as delivered once more, now.
    ///
    /// # Errors
    /// As [`Consumer::read`].
    #[doc(alias = "XREADGROUP")]
    pub fn history(&self, after: EntryId, count: usize) -> Result<Delivery> {
        let mut budget = Budget::of_count((count > 0).then_some(count));
        Ok(self.look_back(after, &mut budget)?.delivery)
    }

    /// Reads without an end: each item is what one wait gave, an empty delivery if nothing came. It
    /// ends when the store is closed.
    #[doc(alias = "XREADGROUP")]
    #[must_use]
    pub fn deliveries(&self, options: GroupReadOptions) -> Deliveries {
        Deliveries { consumer: self.clone(), options, ended: false }
    }

    /// Notes that the consumer was here: it exists from its first call on, also if that queues up.
    fn attend(&self) -> Result<()> {
        let now = self.group.shared().disk.now_ms();
        let grows = self.is_new()?;
        let (done, _) = self.group.change(grows, |locked, group| {
            let (_, attended) = group.of(locked)?.attend(&self.name, now)?;
            Ok(((), vec![attended]))
        })?;
        Ok(done)
    }

    /// One look for the next entry by a consumer that is there: the most frequent call, which is
    /// one event then. `None` where it takes more than that, and nothing has happened.
    #[inline(always)]
    fn look_for_one(&self, now: u64, no_ack: bool) -> Result<Option<Delivery>> {
        let group = &self.group;
        let mut given = Place::default();
        let decide = |locked: &mut Locked<'_>, out: &mut Option<Single>| {
            let state = group.of(locked)?;
            let (after, last) = (state.last_id(), locked.tail.last_id);
            let Some(consumer) = state.find_consumer(&self.name) else { return Ok(()) };
            let Some(from) = after.next().filter(|_| after < last && after >= locked.state.trimmed)
            else {
                return Ok(());
            };
            let read = state.entries_read();
            let counted = locked.state.read_one_after(read, after);
            let facts = if counted.is_none() { Some(locked.facts()?) } else { None };
            let Locked { state, span, .. } = &mut *locked;
            let resume = state.resume.entry(group.of.number).or_default();
            let walk = resume.walk(span, after, from);
            let found = walk.advance_once(&mut span.reading())?;
            resume.stands(span, found.map_or(after, |place| place.id));
            let Some(place) = found else { return Ok(()) };
            let anew = || facts.and_then(|facts| facts.read_after(read, after, &[place.id]));
            let read = counted.or_else(anew);
            given = place;
            *out = Some(group.of(locked)?.deliver_one(consumer, place.id, no_ack, now, read));
            Ok(())
        };
        let inner = group.of.stream.inner();
        let done = inner.change_one(group.shared(), true, decide)?;
        Ok(done.map(|(segments, _)| Delivery::new(group, segments, Few::One([given]))))
    }

    fn look(&self, now: u64, budget: &mut Budget, options: &GroupReadOptions) -> Result<Looked> {
        if budget.is_for_one()
            && options.claim.is_none()
            && let Some(delivery) = self.look_for_one(now, options.no_ack)?
        {
            budget.spend_one();
            return Ok(Looked { delivery, more: true, answered: true });
        }
        self.look_at_all(now, budget, options)
    }

    /// The same whatever the options say.
    fn look_at_all(
        &self,
        now: u64,
        budget: &mut Budget,
        options: &GroupReadOptions,
    ) -> Result<Looked> {
        let (before, number) = (*budget, self.group.of.number);
        let group = &self.group;
        let decide = |locked: &mut Locked<'_>, events: &mut Vec<Event>| {
            *budget = before;
            let facts = locked.facts()?;
            let state = group.of(locked)?;
            let (consumer, attended) = state.attend(&self.name, now)?;
            // A consumer that is there is seen by what it is given, too.
            let mut seen = None;
            match attended {
                Event::Seen { .. } => seen = Some(attended),
                _ => events.push(attended),
            }
            let mut places = Few::default();
            budget.begin_stream(|| locked.state.name.clone());
            let claims = match options.claim {
                Some(min_idle) => {
                    let found = due(locked, state, (min_idle, now), budget, &mut places)?;
                    state.taken_over(consumer, &found, now, events);
                    Some(found.iter().map(|record| Claimed::of(record, now)).collect())
                }
                None => None,
            };
            let (after, claimed) = (state.last_id(), places.len());
            // What is claimed may have left some behind for which there was no room.
            let mut more = claimed > 0 && !budget.has_room(claimed);
            if let Some(from) = after.next().filter(|_| locked.tail.last_id > after) {
                let Locked { state, span, .. } = &mut *locked;
                let resume = state.resume.entry(number).or_default();
                let walk = resume.walk(span, after, from);
                more |= budget.take_on(span, walk, &mut places, claims.is_some())?;
                let ids: Ids = places.iter().skip(claimed).map(|place| place.id).collect();
                let last = ids.last().copied();
                resume.stands(span, last.unwrap_or(after));
                let state = group.of(locked)?;
                state.deliver(consumer, ids, options.no_ack, now, &facts, events);
                if last.is_some() && after < locked.state.trimmed {
                    locked.keep_trim(events);
                }
            }
            if !places.is_empty() {
                budget.end_stream(places.len());
            }
            events.extend(seen.filter(|_| places.is_empty()));
            Ok((places, claims, more))
        };
        let inner = group.of.stream.inner();
        let ((places, claims, more), segments, _) =
            inner.change_held(group.shared(), true, decide)?;
        let answered = !places.is_empty();
        let delivery = Delivery::new(&self.group, segments, places).with_claims(claims);
        Ok(Looked { delivery, more, answered })
    }

    fn look_back(&self, after: EntryId, budget: &mut Budget) -> Result<Looked> {
        let now = self.group.shared().disk.now_ms();
        let grows = self.is_new()?;
        let before = *budget;
        let ((span, places, missing), _) = self.group.change(grows, |locked, group| {
            *budget = before;
            let state = group.of(locked)?;
            let (consumer, attended) = state.attend(&self.name, now)?;
            let mut events = vec![attended];
            let (mut places, mut missing) = (Vec::new(), Vec::new());
            budget.begin_stream(|| locked.state.name.clone());
            for id in state.history(consumer, after, budget.room(0)) {
                if budget.is_spent() {
                    break;
                }
                match locked.span.find(id)? {
                    Some(place) => {
                        budget.spend(&locked.span, &place, None);
                        places.push(place);
                    }
                    None => {
                        budget.spend_missing(id);
                        missing.push(id);
                    }
                }
            }
            budget.end_stream(places.len() + missing.len());
            let live = places.iter().map(|place| place.id).collect();
            state.redelivered(consumer, live, now, &mut events);
            Ok(((locked.span.clone(), places, missing), events))
        })?;
        let delivery = Delivery::new(&self.group, span.segments, places.into());
        let delivery = delivery.with_missing(missing);
        Ok(Looked { delivery, more: true, answered: true })
    }

    fn register(&self, waiter: &Waiter) -> Registration {
        self.group.of.stream.inner().waiters.register(waiter, Class::Group(self.group.of.number))
    }

    /// Whether another of the group is being served, so that a newcomer has to queue up.
    fn must_queue(&self) -> bool {
        self.group.of.stream.inner().waiters.has_turn(self.group.of.number)
    }
}

/// What a read claims, as far as there is room, and what was pending of it. `when`: how long it
/// was idle at least, and now.
fn due(
    locked: &Locked<'_>,
    state: &GroupState,
    when: (Duration, u64),
    budget: &mut Budget,
    places: &mut Few<Place>,
) -> Result<Vec<PendingRecord>> {
    let mut found = Vec::new();
    let mut all = state.due(when.0, when.1);
    while budget.has_room(places.len())
        && let Some(record) = all.next()
    {
        if let Some(place) = locked.span.find(record.id)? {
            budget.spend(&locked.span, &place, Some((record.idle(when.1), record.count)));
            places.push(place);
            found.push(record);
        }
    }
    Ok(found)
}

impl Group {
    /// What tells it from all others that there are.
    fn identity(&self) -> (*const (), GroupNumber) {
        (Arc::as_ptr(self.of.stream.inner()).cast(), self.of.number)
    }
}

impl PendingRecord {
    fn idle(&self, now: u64) -> u64 {
        now.saturating_sub(self.time_ms)
    }
}

impl Claimed {
    fn of(record: &PendingRecord, now: u64) -> Claimed {
        Claimed { idle: Duration::from_millis(record.idle(now)), deliveries: record.count }
    }
}

/// What was given, each with the place in the call of what it was given from.
pub(crate) type Found = Vec<(usize, Delivery)>;

/// One look at those of the streams that `choose` picks, in order.
///
/// What can be known to be in the way is found before anything is given out, as in Redis. A
/// failure that only the reading itself meets is left to the next call if there are deliveries
/// already: they are in the journal, and nobody else would get them.
fn look(
    from: &[(&Consumer, ReadFrom)],
    options: GroupReadOptions,
    choose: impl Fn(usize) -> bool,
) -> Result<(Found, Vec<Option<bool>>)> {
    let mut budget = Budget::of(&options.read);
    let mut found = Vec::new();
    let mut left = vec![None; from.len()];
    let mut delivered = false;
    if from.len() > 1 {
        from.iter().try_for_each(|(consumer, _)| consumer.group.check())?;
    }
    let mut options = options;
    // One moment for all, or what is claimed could become idle again within the call.
    let now = from.first().map_or(0, |(consumer, _)| consumer.group.shared().disk.now_ms());
    let mut looked_at = HashSet::new();
    for (n, (consumer, what)) in from.iter().enumerate() {
        if !choose(n) || budget.is_spent() {
            continue;
        }
        let looked = match what {
            ReadFrom::New => {
                let mut options = options;
                if from.len() > 1
                    && let Some(min_idle) = options.claim
                    && !looked_at.insert(consumer.group.identity())
                {
                    // What was claimed a moment ago is not claimed again, or a group that is named
                    // often would be gone through as often.
                    options.claim = Some(min_idle.max(Duration::from_millis(1)));
                }
                consumer.look(now, &mut budget, &options)
            }
            ReadFrom::History(after) => {
                // As in Redis, for what comes behind it, too.
                options.claim = None;
                consumer.look_back(*after, &mut budget)
            }
        };
        let looked = match looked {
            Err(_) if delivered => break,
            other => other?,
        };
        delivered |= *what == ReadFrom::New && !looked.delivery.is_empty();
        if let Some(slot) = left.get_mut(n) {
            *slot = Some(looked.more);
        }
        if looked.answered {
            found.push((n, looked.delivery));
        }
    }
    Ok((found, left))
}

/// XREADGROUP without a wait.
#[cfg(feature = "resp")]
pub(crate) fn read_now(from: &[(&Consumer, ReadFrom)], options: GroupReadOptions) -> Result<Found> {
    Ok(look(from, options, |_| true)?.0)
}

/// XREADGROUP.
fn read_group(from: &[(&Consumer, ReadFrom)], options: GroupReadOptions) -> Result<Found> {
    let history = from.iter().any(|(_, what)| matches!(what, ReadFrom::History(_)));
    let deadline = deadline(options.read.block).filter(|_| !history);
    let Some(deadline) = deadline else {
        return Ok(look(from, options, |_| true)?.0);
    };
    let queues: Vec<bool> = from.iter().map(|(consumer, _)| consumer.must_queue()).collect();
    let (found, _) = look(from, options, |n| !queues.get(n).copied().unwrap_or_default())?;
    if !found.is_empty() {
        return Ok(found);
    }
    wait_group(from, options, deadline)
}

/// XREADGROUP that found nothing at its first look.
fn wait_group(
    from: &[(&Consumer, ReadFrom)],
    options: GroupReadOptions,
    deadline: Deadline,
) -> Result<Found> {
    let waiter = Waiter::new();
    let mut places: Vec<Registration> =
        from.iter().map(|(consumer, _)| consumer.register(&waiter)).collect();
    // Where others came before, this reader waits for its turn; elsewhere it looks at once.
    let firsts: Vec<bool> = places.iter().map(Registration::is_first).collect();
    for ((consumer, _), first) in from.iter().zip(&firsts) {
        if !first {
            consumer.attend()?;
        }
    }
    let mut choose_all = false;
    loop {
        let chosen = |n: usize| choose_all || firsts.get(n).copied().unwrap_or(true);
        for (n, place) in places.iter_mut().enumerate() {
            if chosen(n) {
                place.look();
            }
        }
        let (found, left) = look(from, options, chosen)?;
        if !found.is_empty() {
            for (place, left) in places.into_iter().zip(left) {
                // A stream that was not looked at keeps its turn's doubt: dropping hands it on.
                if let Some(left) = left {
                    place.served(left);
                }
            }
            return Ok(found);
        }
        for (n, place) in places.iter_mut().enumerate() {
            if chosen(n) {
                place.block();
            }
        }
        let until = deadline.or_earlier(claims_come(from, options)?);
        if waiter.wait(until) == Wake::TimedOut && (until == deadline || deadline.is_over()) {
            return Ok(found);
        }
        choose_all = true;
    }
}

/// When one of the streams will have something to claim, if nothing happens until then.
fn claims_come(from: &[(&Consumer, ReadFrom)], options: GroupReadOptions) -> Result<Deadline> {
    let mut first = Deadline::NEVER;
    let Some(min_idle) = options.claim else {
        return Ok(first);
    };
    for (consumer, _) in from {
        let now = consumer.group.shared().disk.now_ms();
        // What is there already, and was not given, is found in vain for a moment at most.
        let wait = consumer.group.claimable_at(min_idle)?.saturating_sub(now).max(1);
        first = first.or_earlier(Deadline::after(Duration::from_millis(wait)));
    }
    Ok(first)
}

impl Store {
    /// Reads as a consumer from several streams in one call (XREADGROUP STREAMS), and waits for any
    /// of them if the options say so. Streams that have nothing new are left out; a history always
    /// answers, so with one among them the call never waits.
    ///
    /// A stream that a failed sync has stopped delivers nothing: with one among them the call
    /// answers `Poisoned` at once, whatever the others have, and nothing is delivered.
    ///
    /// # Errors
    /// As [`Consumer::read`]: with an error nothing new was delivered. A failure that is met behind
    /// a stream which has delivered is left to the next call.
    #[doc(alias = "XREADGROUP")]
    pub fn read_group(
        &self,
        from: &[(&Consumer, ReadFrom)],
        options: GroupReadOptions,
    ) -> Result<Vec<(Stream, Delivery)>> {
        let found = read_group(from, options)?;
        let stream = |n: usize| from.get(n).map(|(consumer, _)| consumer.group.stream().clone());
        Ok(found.into_iter().filter_map(|(n, given)| Some((stream(n)?, given))).collect())
    }
}

/// Deliveries without an end; from [`Consumer::deliveries`].
#[derive(Debug)]
pub struct Deliveries {
    consumer: Consumer,
    options: GroupReadOptions,
    ended: bool,
}

impl Iterator for Deliveries {
    type Item = Result<Delivery>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.consumer.read(self.options) {
            Err(error) if matches!(error.kind(), ErrorKind::Closed) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
            found => Some(found),
        }
    }
}
