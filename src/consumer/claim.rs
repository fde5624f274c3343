//! Taking over what is pending for others: XCLAIM and XAUTOCLAIM.

use super::*;

/// What [`Consumer::auto_claim`] found.
#[derive(Debug)]
#[non_exhaustive]
pub struct AutoClaim {
    /// From where to go on; `None` at the end of the pending list.
    pub next: Option<EntryId>,
    /// What was claimed.
    pub delivery: Delivery,
    /// Pending IDs whose entries are gone; they are not pending any more.
    pub deleted: Vec<EntryId>,
}

/// What [`Consumer::auto_claim_ids`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AutoClaimIds {
    /// From where to go on; `None` at the end of the pending list.
    pub next: Option<EntryId>,
    /// What was claimed.
    pub ids: Vec<EntryId>,
    /// Pending IDs whose entries are gone; they are not pending any more.
    pub deleted: Vec<EntryId>,
}

/// Where entries lie that were found alive a moment ago, in the order of the IDs.
fn places_of(span: &Span, ids: &[EntryId]) -> Result<Vec<Place>> {
    let mut places = Vec::with_capacity(ids.len());
    for id in ids {
        places.extend(span.find(*id)?);
    }
    Ok(places)
}

impl Consumer {
    /// Takes over entries that are pending for others, or for itself, since at least `min_idle`
    /// (XCLAIM). IDs whose entries are gone stop being pending; other IDs that are not pending are
    /// passed over.
    ///
    /// # Errors
    /// `NoGroup`, `Poisoned`, `StorageFull`, `NoStream`, `Closed`, `Corrupt`.
    #[doc(alias = "XCLAIM")]
    pub fn claim(
        &self,
        ids: impl IntoIterator<Item = EntryId>,
        min_idle: Duration,
    ) -> Result<Delivery> {
        self.claim_with(ids, ClaimOptions::new(min_idle))
    }

    /// The same with all options of XCLAIM.
    ///
    /// # Errors
    /// As [`Consumer::claim`].
    #[doc(alias = "XCLAIM")]
    pub fn claim_with(
        &self,
        ids: impl IntoIterator<Item = EntryId>,
        options: ClaimOptions,
    ) -> Result<Delivery> {
        let ids: Vec<EntryId> = ids.into_iter().collect();
        let (span, places, _) = self.claim_any(&ids, &options, false)?;
        Ok(Delivery::new(&self.group, span.segments, places.into()))
    }

    /// Claims and returns IDs only (JUSTID), which leaves the delivery counts as they are.
    ///
    /// # Errors
    /// As [`Consumer::claim`].
    #[doc(alias = "XCLAIM")]
    #[doc(alias = "JUSTID")]
    pub fn claim_ids(
        &self,
        ids: impl IntoIterator<Item = EntryId>,
        options: ClaimOptions,
    ) -> Result<Vec<EntryId>> {
        let ids: Vec<EntryId> = ids.into_iter().collect();
        let (_, places, _) = self.claim_any(&ids, &options, true)?;
        Ok(places.into_iter().map(|place| place.id).collect())
    }

    /// Both; tells besides how many IDs are not pending any more because their entries are gone.
    #[cfg(feature = "resp")]
    pub(crate) fn claim_and_count(
        &self,
        ids: &[EntryId],
        options: &ClaimOptions,
        just_ids: bool,
    ) -> Result<(Delivery, u64)> {
        let (span, places, gone) = self.claim_any(ids, options, just_ids)?;
        Ok((Delivery::new(&self.group, span.segments, places.into()), gone))
    }

    fn claim_any(
        &self,
        ids: &[EntryId],
        options: &ClaimOptions,
        just_ids: bool,
    ) -> Result<(Span, Vec<Place>, u64)> {
        let now = self.group.shared().disk.now_ms();
        let grows = options.force || self.is_new()?;
        let (found, _) = self.group.change(grows, |locked, group| {
            let facts = locked.facts()?;
            let span = locked.span.clone();
            let mut exists = |id| Ok(span.find(id)?.is_some());
            let state = group.of(locked)?;
            let mut outcome =
                state.claim(&self.name, ids, options, just_ids, now, &facts, &mut exists)?;
            let places = places_of(&span, &outcome.claimed)?;
            keep_trim(locked, &mut outcome.events);
            let gone = outcome.events.iter().map(removed).sum();
            Ok(((span, places, gone), outcome.events))
        })?;
        Ok(found)
    }

    /// Takes over what has been pending for at least `min_idle`, from an ID on, at most `count`
    /// entries (XAUTOCLAIM). Go on from `next`.
    ///
    /// # Errors
    /// As [`Consumer::claim`]; `InvalidArgument` for a count of 0 or above 2^59.
    #[doc(alias = "XAUTOCLAIM")]
    pub fn auto_claim(&self, from: EntryId, min_idle: Duration, count: usize) -> Result<AutoClaim> {
        let (span, places, deleted, next) = self.auto_claim_any(from, min_idle, count, false)?;
        let delivery = Delivery::new(&self.group, span.segments, places.into());
        Ok(AutoClaim { next, delivery, deleted })
    }

    /// The same with IDs only (JUSTID), which leaves the delivery counts as they are.
    ///
    /// # Errors
    /// As [`Consumer::auto_claim`].
    #[doc(alias = "XAUTOCLAIM")]
    #[doc(alias = "JUSTID")]
    pub fn auto_claim_ids(
        &self,
        from: EntryId,
        min_idle: Duration,
        count: usize,
    ) -> Result<AutoClaimIds> {
        let (_, places, deleted, next) = self.auto_claim_any(from, min_idle, count, true)?;
        let ids = places.into_iter().map(|place| place.id).collect();
        Ok(AutoClaimIds { next, ids, deleted })
    }

    #[allow(clippy::type_complexity)]
    fn auto_claim_any(
        &self,
        from: EntryId,
        min_idle: Duration,
        count: usize,
        just_ids: bool,
    ) -> Result<(Span, Vec<Place>, Vec<EntryId>, Option<EntryId>)> {
        let now = self.group.shared().disk.now_ms();
        let grows = self.is_new()?;
        let count = count as u64;
        let (found, _) = self.group.change(grows, |locked, group| {
            let span = locked.span.clone();
            let mut exists = |id| Ok(span.find(id)?.is_some());
            let state = group.of(locked)?;
            let mut outcome =
                state.auto_claim(&self.name, min_idle, from, count, just_ids, now, &mut exists)?;
            let places = places_of(&span, &outcome.claimed)?;
            keep_trim(locked, &mut outcome.events);
            Ok(((span, places, outcome.deleted, outcome.next), outcome.events))
        })?;
        Ok(found)
    }
}

fn removed(event: &Event) -> u64 {
    match event {
        Event::PendingRemoved { ids, .. } => ids.len() as u64,
        _ => 0,
    }
}

/// A claim takes records out whose entries are gone.
fn keep_trim(locked: &Locked<'_>, events: &mut Vec<Event>) {
    if events.iter().any(|event| matches!(event, Event::PendingRemoved { .. })) {
        locked.keep_trim(events);
    }
}
