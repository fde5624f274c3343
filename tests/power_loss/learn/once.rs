//! Appends of producers that say what they send.

use super::super::call::Name;
use super::super::model::{Model, broken};
use super::Learned;
use crate::id::EntryId;

impl Model {
    /// The last entry of a stream was sent under this key.
    pub(super) fn sent(&mut self, stream: &[u8], key: Option<&(Name, Name)>) {
        if let (Some(key), Some(life)) = (key, self.stream_mut(stream))
            && let Some(last) = life.entries.len().checked_sub(1)
        {
            life.sending.appended(last, key.clone());
        }
    }

    /// It answered that this was sent before.
    pub(super) fn was_duplicate(
        &mut self,
        stream: &[u8],
        key: &(Name, Name),
        id: EntryId,
        durable: bool,
    ) -> Learned {
        let Some(life) = self.stream(stream) else {
            return broken("call", "an append to a stream that is not there");
        };
        let known = life.sending.now(&life.entries);
        if let Some(known) = known.filter(|known| known.get(key) != Some(id)) {
            let text = format!("{key:?} was answered with {id}, and known is {known:?}");
            return broken("idempotency", text);
        }
        if durable {
            self.entries_are_durable_to(stream, Some(id));
        }
        Ok(())
    }

    /// It was appended, as it was not known.
    pub(super) fn is_no_duplicate(&self, stream: &[u8], key: Option<&(Name, Name)>) -> Learned {
        let (Some(key), Some(life)) = (key, self.stream(stream)) else {
            return Ok(());
        };
        match life.sending.now(&life.entries) {
            Some(known) if known.get(key).is_some() => {
                broken("idempotency", format!("{key:?} was appended again, and known is {known:?}"))
            }
            _ => Ok(()),
        }
    }
}
