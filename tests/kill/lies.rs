//! Lies about the younger calls, each of which the witness must find: this process does one thing
//! to a store that a child has left, and tells another.

use crate::plan::{GROUPS, STREAMS, fields, once_token};
use crate::report::{Done, Line, Op};
use crate::witness::{Known, calls};
use streamlog::{EntryId, Group, NackMode, Pending, PendingFilter, RefPolicy, Store, Stream};

type Outcome<T = ()> = Result<T, String>;

struct Liar<'a> {
    store: &'a Store,
    stream: Stream,
    group: Group,
    known: Known,
}

/// `None` if the child has left too little to tell lies about.
pub(crate) fn tell(store: &Store, known: Known) -> Outcome<Option<()>> {
    let stream = store.get(STREAMS[0]).unwrap().unwrap();
    let group = stream.get_group(GROUPS[0]).unwrap().unwrap();
    let mut liar = Liar { store, stream, group, known };
    if liar.pending().len() < 2 {
        return Ok(None);
    }
    liar.about_removals()?;
    liar.about_groups()?;
    liar.about_what_is_sent_once().map(Some)
}

fn life(op: Op, done: Option<Done>) -> Vec<Line> {
    let intent = Line::Intent { thread: 0, op };
    let done = done.map(|done| Line::Done { thread: 0, done });
    [Line::Ready, intent].into_iter().chain(done).collect()
}

fn of(ids: &[EntryId]) -> Done {
    Done { ids: ids.to_vec(), ..Done::default() }
}

impl Liar<'_> {
    fn check(&self, op: Op, done: Option<Done>) -> Outcome<Known> {
        let (calls, ready) = calls(&life(op, done))?;
        self.known.check(self.store, &calls, ready)
    }

    fn lie(&self, complaint: &str, op: Op, done: Option<Done>) -> Outcome {
        match self.check(op, done) {
            Err(what) if what.contains(complaint) => Ok(()),
            other => {
                let other = other.map(|_| "nothing");
                Err(format!("expected \"{complaint}\", found {other:?}"))
            }
        }
    }

    fn truth(&mut self, op: Op, done: Option<Done>) -> Outcome {
        self.known = self.check(op, done)?;
        Ok(())
    }

    /// IDs of entries that are there, pending for somebody, and not counted as fatal: of those it
    /// would be no lie.
    fn pending(&self) -> Vec<EntryId> {
        let found = self.group.pending_range(.., PendingFilter::new()).unwrap();
        let counts = |record: &Pending| !record.unowned && record.deliveries < i64::MAX as u64;
        let owned = found.into_iter().filter(counts);
        let there = owned.map(|record| record.id);
        there.filter(|id| self.stream.get(*id).unwrap().is_some()).take(2).collect()
    }

    fn append(&mut self, call: u64) -> Outcome<(u64, EntryId)> {
        let token = once_token(1 << 18, 0, call);
        let id = self.stream.append(fields(token)).unwrap();
        self.truth(Op::Append { stream: 0, token, max_len: None }, Some(of(&[id])))?;
        Ok((token, id))
    }

    fn about_removals(&mut self) -> Outcome {
        let stream = 0;
        let delete = |ids: &[EntryId], policy| Op::DeleteWith { stream, ids: ids.to_vec(), policy };
        let ids = self.pending();
        self.lie("is back", delete(&ids, RefPolicy::KeepRef), Some(of(&ids)))?;
        let min = ids[1];
        let trim = Op::TrimRef { stream, min, policy: RefPolicy::DelRef };
        self.lie("is back", trim, Some(Done::default()))?;
        let ack = |policy| Op::AckDelete { stream, group: 0, ids: ids.clone(), policy };
        self.lie("is back", ack(RefPolicy::KeepRef), Some(of(&ids)))?;
        let kept = Done { kept: ids.clone(), ..Done::default() };
        self.lie("was acknowledged", ack(RefPolicy::Acked), Some(kept))?;

        self.stream.delete(ids[..1].iter().copied()).unwrap();
        self.lie("half of", delete(&ids, RefPolicy::DelRef), None)?;
        let ids = &ids[..1];
        self.lie("LOST", delete(ids, RefPolicy::Acked), Some(Done::default()))?;
        let removed = "was removed with its references";
        self.lie(removed, delete(ids, RefPolicy::DelRef), None)?;
        self.lie(removed, delete(ids, RefPolicy::Acked), Some(of(ids)))?;
        self.lie("taken from all groups", delete(ids, RefPolicy::DelRef), Some(of(ids)))?;
        let found = Done { gone: ids.to_vec(), ..Done::default() };
        self.truth(delete(ids, RefPolicy::KeepRef), Some(of(ids)))?;
        self.lie("taken from all groups", delete(ids, RefPolicy::DelRef), Some(found))?;

        let (_, id) = self.append(0)?;
        self.stream.delete([id]).unwrap();
        let undone = "the group was not done with it";
        self.lie(undone, delete(&[id], RefPolicy::Acked), Some(of(&[id])))?;
        let trim = Op::TrimRef { stream, min: EntryId::MAX, policy: RefPolicy::Acked };
        self.lie(undone, trim, None)?;
        self.truth(delete(&[id], RefPolicy::KeepRef), Some(of(&[id])))
    }

    fn about_groups(&mut self) -> Outcome {
        let (stream, group) = (0, 0);
        let ids = self.pending();
        let nack = |how| Op::Nack { stream, group, ids: ids.clone(), how };
        self.lie("who has lost it", nack(1), Some(Done::default()))?;
        let again = Op::ReadClaim { stream, group, consumer: 0 };
        self.lie("as new a second time", again, Some(of(&ids)))?;
        self.group.nack(ids.iter().copied(), NackMode::Fatal).unwrap();
        self.lie("times and says", nack(1), Some(Done::default()))?;
        self.lie("times and says", nack(3), Some(Done::default()))?;
        self.lie("who has lost it", Op::History { stream, group, consumer: 0 }, None)?;
        self.truth(nack(2), Some(Done::default()))
    }

    fn about_what_is_sent_once(&mut self) -> Outcome {
        let ((token, first), (_, second)) = (self.append(1)?, self.append(2)?);
        let once = |token| Op::Once { stream: 0, token };
        let new = |id| Some(of(&[id]));
        let old = |id| Some(Done { count: 1, ..of(&[id]) });
        self.lie("was appended a second time", once(token), new(first))?;
        self.lie("was sent again", once(token), old(second))?;
        // It is remembered under no iid.
        let (calls, _) = calls(&life(once(token), old(first)))?;
        match self.known.clone().send_again(self.store, &calls) {
            Err(what) if what.contains("and sent again it is") => Ok(()),
            other => Err(format!("an entry was doubled, and the witness says {other:?}")),
        }
    }
}
