//! Reading as a consumer: new entries, history, over one stream or several, blocking or not.

use super::*;
use crate::notify::{Class, Registration, Waiter, Wake};
use crate::sync::Deadline;
use crate::wait::deadline;

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
            let looked = self.look(&mut Budget::of(&options.read), options.no_ack)?;
            if deadline.is_none() || looked.answered {
                return Ok(looked.delivery);
            }
        }
        let from = &[(self, ReadFrom::New)];
        let found = deadline.map(|deadline| wait_group(from, options, deadline)).transpose()?;
        match found.and_then(|mut found| found.pop()) {
            Some((_, delivery)) => Ok(delivery),
            None => {
                let span = self.group.of.stream.snapshot()?.span;
                Ok(Delivery::new(&self.group, span, Vec::new(), Vec::new()))
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
        let mut budget = Budget { count: (count > 0).then_some(count), bytes: None, spent: 0 };
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

    fn look(&self, budget: &mut Budget, no_ack: bool) -> Result<Looked> {
        let now = self.group.shared().disk.now_ms();
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
            let (mut places, mut more) = (Vec::new(), false);
            let after = state.last_id();
            if let Some(from) = after.next().filter(|_| locked.tail.last_id > after) {
                let known = locked.state.resume.get(&number);
                let walk = known.and_then(|resume| resume.walk(&locked.span, after));
                let mut walk = walk.unwrap_or_else(|| Forward::seek(&locked.span, from));
                (places, more) = budget.take_on(&locked.span, &mut walk)?;
                let ids = places.iter().map(|place| place.id).collect();
                state.deliver(consumer, ids, no_ack, now, &facts, events);
                if !places.is_empty() && after < locked.state.trimmed {
                    locked.keep_trim(events);
                }
                let last = places.last().map_or(after, |place| place.id);
                if let Some(resume) = Resume::new(&locked.span, walk, last) {
                    locked.state.resume.insert(number, resume);
                }
            }
            events.extend(seen.filter(|_| places.is_empty()));
            Ok((places, more))
        };
        let inner = group.of.stream.inner();
        let ((places, more), span, _) = inner.change_held(group.shared(), true, decide)?;
        let answered = !places.is_empty();
        let delivery = Delivery::new(&self.group, span, places, Vec::new());
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
            for id in state.history(consumer, after, budget.count.unwrap_or(0)) {
                if budget.is_spent() {
                    break;
                }
                match locked.span.find(id)? {
                    Some(place) => {
                        budget.spent += place.len as usize;
                        places.push(place);
                    }
                    None => missing.push(id),
                }
            }
            let live = places.iter().map(|place| place.id).collect();
            state.redelivered(consumer, live, now, &mut events);
            Ok(((locked.span.clone(), places, missing), events))
        })?;
        let delivery = Delivery::new(&self.group, span, places, missing);
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

type Found = Vec<(Stream, Delivery)>;

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
    for (n, (consumer, what)) in from.iter().enumerate() {
        if !choose(n) || budget.is_spent() {
            continue;
        }
        let looked = match what {
            ReadFrom::New => consumer.look(&mut budget, options.no_ack),
            ReadFrom::History(after) => consumer.look_back(*after, &mut budget),
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
            found.push((consumer.group.of.stream.clone(), looked.delivery));
        }
    }
    Ok((found, left))
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
        if waiter.wait(deadline) == Wake::TimedOut {
            return Ok(found);
        }
        choose_all = true;
    }
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
        read_group(from, options)
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
