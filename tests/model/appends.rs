//! Plays appends and batches.

use std::ops::Bound;
use streamlog::{AppendOptions, BatchOptions, EntryId, ErrorKind, NewEntries, NewId, Stream};

use crate::naive::{Fields, NaiveStream, Refusal, next_id};
use crate::op::{Cut, STREAMS, Shape, To, Want};
use crate::reads::size;
use crate::run::{Checked, Run, answer, class, good, holds, now_ms, plain, same};

/// What a value may have at most; the smallest segments take some 3,000 bytes.
const TOO_LARGE: usize = 8500;

/// Fields that no other entry has.
pub(crate) fn fields(shape: Shape, serial: u64) -> Fields {
    let names = ["k", "", "k"];
    let value = |n: u64| {
        let byte = |at: u64| (serial.wrapping_mul(31).wrapping_add(at * 7 + n)) as u8;
        (0..u64::from(shape.len)).map(byte).collect::<Vec<u8>>()
    };
    let pair = |n: u8| (names[usize::from(n) % 3].as_bytes().to_vec(), value(u64::from(n)));
    (0..shape.fields).map(pair).collect()
}

/// Why an append is refused for its fields, before anything else.
pub(crate) fn refused_fields(fields: &Fields) -> Option<&'static str> {
    match size(fields) {
        _ if fields.is_empty() => Some("NoFields"),
        size if size > TOO_LARGE => Some("EntryTooLarge"),
        _ => None,
    }
}

fn refused_id(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Zero => "IdZero",
        Refusal::NotGreater => "IdNotGreater",
        Refusal::Exhausted => "IdExhausted",
    }
}

impl Run {
    fn made(&mut self, stream: usize) -> Checked<Stream> {
        let name = STREAMS[stream];
        let handle = good("stream", self.store().stream(name))?;
        if !self.streams.contains_key(name) {
            let (defaults, number) = (self.defaults.clone(), self.serial());
            self.streams.insert(name, NaiveStream::new(defaults, number));
        }
        Ok(handle)
    }

    fn want(&self, stream: usize, want: Want) -> NewId {
        let last = self.streams.get(STREAMS[stream]).map_or(EntryId::MIN, |model| model.last);
        match want {
            Want::Auto => NewId::Auto,
            Want::Within(by) => NewId::AutoSeq(last.ms.saturating_add_signed(i64::from(by))),
            Want::Exact(pick) => NewId::Exact(self.pick(stream, pick)),
        }
    }

    pub(crate) fn append(
        &mut self,
        stream: usize,
        (id, shape): (Want, Shape),
        cut: Option<Cut>,
        durable: bool,
    ) -> Checked {
        let handle = self.made(stream)?;
        let fields = fields(shape, self.serial());
        let want = self.want(stream, id);
        let mut options = AppendOptions::new().id(want);
        let mut min_id = EntryId::MIN;
        if let Some(cut) = cut {
            options = options.trim(self.cut(stream, cut));
            if let To::MinId(pick) = cut.to {
                min_id = self.pick(stream, pick);
            }
        }
        if durable {
            options = options.durable();
        }
        let begun = now_ms();
        let got = answer(handle.append_with(fields.iter().map(|(n, v)| (n, v)), options));
        let last = self.model(stream).last;
        let bad_cut = cut.is_some_and(|cut| cut.limit.is_some() && !cut.approximate);
        let wanted = match (bad_cut, refused_fields(&fields)) {
            (true, _) => Err("InvalidTrim"),
            (_, Some(refusal)) => Err(refusal),
            _ => next_id(want, last, begun).map_err(refused_id),
        };
        match (got, wanted) {
            (Ok(got), Ok(_)) => {
                holds("the new ID", follows(want, last, got, begun), (want, last, got))?;
                self.model(stream).push(got, fields);
            }
            (got, wanted) => return same("append", got, wanted.map_err(str::to_owned)),
        }
        let Some(cut) = cut else {
            return Ok(());
        };
        let exactly = self.cut_removes(stream, cut, min_id);
        let left = good("len", handle.len())?;
        let model = self.model(stream);
        let (removed, beyond) = (model.length().saturating_sub(left), model.beyond());
        if beyond > 0 {
            // What the background has removed is in this number, perhaps.
            holds("removed by an append", removed <= exactly.max(beyond), removed)?;
            model.drop_oldest(if cut.approximate { removed } else { exactly });
            return Ok(());
        }
        self.check_cut(stream, cut, exactly, removed)
    }

    /// An iid is remembered for longer than a list takes, unless its ID is an old one.
    pub(crate) fn append_once(
        &mut self,
        stream: usize,
        (producer, iid): (u8, u8),
        shape: Shape,
    ) -> Checked {
        let handle = self.made(stream)?;
        let fields = fields(shape, self.serial());
        let options = AppendOptions::new().idempotent([producer], [iid]);
        let begun = now_ms();
        let got = answer(handle.append_outcome(fields.iter().map(|(n, v)| (n, v)), options));
        let got = got.map(|got| (got.id, got.duplicate));
        let model = self.model(stream);
        // An ID that lies in the future, after an append that asked for it, keeps it as well.
        let first = model.sent.get(&(producer, iid)).copied();
        let last = model.last;
        let wanted = match (refused_fields(&fields), first) {
            (Some("NoFields"), _) => Err("NoFields"),
            (_, Some(id)) => Ok((id, true)),
            (Some(refusal), _) => Err(refusal),
            (None, None) => match next_id(NewId::Auto, last, begun) {
                Ok(_) => Ok((got.as_ref().map_or(last, |(id, _)| *id), false)),
                Err(refusal) => Err(refused_id(refusal)),
            },
        };
        let (id, duplicate) = match (got, wanted) {
            (Ok(got), Ok(wanted)) => {
                same("append once", got, wanted)?;
                got
            }
            (got, wanted) => return same("append once", got, wanted.map_err(str::to_owned)),
        };
        if !duplicate {
            holds("the new ID", follows(NewId::Auto, last, id, begun), (last, id))?;
            let model = self.model(stream);
            model.push(id, fields);
            model.sent.insert((producer, iid), id);
        }
        Ok(())
    }

    pub(crate) fn batch(
        &mut self,
        stream: usize,
        entries: &[(Want, Shape)],
        durable: Option<bool>,
    ) -> Checked {
        let handle = self.made(stream)?;
        let mut batch = NewEntries::new();
        let mut wanted: Vec<(NewId, Fields)> = Vec::new();
        for (want, shape) in entries {
            let (want, fields) = (self.want(stream, *want), fields(*shape, self.serial()));
            let pushed = answer(batch.push_with(want, fields.iter().map(|(n, v)| (n, v))));
            match fields.is_empty() {
                true => same("push", pushed, Err("NoFields".into()))?,
                false => wanted.push((want, fields)),
            }
            same("len of the batch", batch.len(), wanted.len())?;
        }
        let begun = now_ms();
        let got = match durable {
            None => handle.append_batch(&batch),
            Some(false) => handle.append_batch_with(&batch, BatchOptions::new()),
            Some(true) => handle.append_batch_with(&batch, BatchOptions::new().durable()),
        };
        match got {
            Ok(got) => self.check_batch(stream, &handle, &wanted, got, begun),
            Err(error) => {
                let last = self.model(stream).last;
                let refusals = refused_batch(&wanted, last, begun);
                let class = class(&error);
                holds("the batch was refused", refusals.contains(&class.as_str()), &error)?;
                if let ErrorKind::IdNotGreater { index, .. } = error.kind() {
                    holds("it names no entry", index.is_some_and(|n| n < wanted.len()), &error)?;
                }
                Ok(())
            }
        }
    }

    /// A batch is there as a whole, under IDs that follow from what its entries asked for.
    fn check_batch(
        &mut self,
        stream: usize,
        handle: &Stream,
        wanted: &[(NewId, Fields)],
        got: Option<(EntryId, EntryId)>,
        begun: u64,
    ) -> Checked {
        if wanted.is_empty() {
            return same("an empty batch", got, None);
        }
        let mut last = self.model(stream).last;
        let size: usize = wanted.iter().map(|(_, fields)| size(fields)).sum();
        holds("a batch larger than a segment", size < 2 * TOO_LARGE, size)?;
        let new: Vec<_> = handle.range((Bound::Excluded(last), Bound::Unbounded)).collect();
        // Retention may have been there before this look: then only the newest are.
        let skipped = wanted.len().saturating_sub(new.len());
        let is_limited = self.model(stream).is_limited();
        holds("entries of a batch are missing", skipped == 0 || is_limited, skipped)?;
        if skipped > 0 {
            return self.check_limited_batch(stream, wanted, got, begun);
        }
        for ((want, fields), entry) in wanted.iter().zip(new) {
            let (id, found) = plain(&good("an entry of the batch", entry)?);
            holds("an ID of the batch", follows(*want, last, id, begun), (want, last, id))?;
            same("the fields of the batch", &found, fields)?;
            last = id;
            self.model(stream).push(id, found);
        }
        let first = self.model(stream).length() as usize - wanted.len();
        let first = self.model(stream).entries[first].0;
        same("the first and last ID of the batch", got, Some((first, last)))
    }

    /// The background was faster than the look: the IDs must follow from the two that are told.
    fn check_limited_batch(
        &mut self,
        stream: usize,
        wanted: &[(NewId, Fields)],
        got: Option<(EntryId, EntryId)>,
        begun: u64,
    ) -> Checked {
        let Some((first, last)) = got else {
            return Err("no IDs for a batch".into());
        };
        let model = self.model(stream);
        let now = if wanted[0].0 == NewId::Auto { first.ms } else { begun.max(last.ms) };
        for (want, fields) in wanted {
            let id = next_id(*want, model.last, now).map_err(|r| refused_id(r).to_owned())?;
            model.push(id, fields.clone());
        }
        same("the last ID of the batch", last, model.last)
    }
}

/// Whether an entry that asked for this may get this ID, whatever the clock has said since.
fn follows(want: NewId, last: EntryId, got: EntryId, begun: u64) -> bool {
    let may_be = |now| next_id(want, last, now) == Ok(got);
    may_be(begun) || (want == NewId::Auto && (begun..=now_ms()).any(may_be))
}

/// The classes of errors that a batch may be refused with.
fn refused_batch(wanted: &[(NewId, Fields)], last: EntryId, begun: u64) -> Vec<&'static str> {
    let mut classes = Vec::new();
    for now in [begun, now_ms()] {
        let mut last = last;
        for (want, fields) in wanted {
            if let Some(refusal) = refused_fields(fields) {
                classes.push(refusal);
                break;
            }
            match next_id(*want, last, now) {
                Ok(id) => last = id,
                Err(refusal) => {
                    classes.push(refused_id(refusal));
                    break;
                }
            }
        }
    }
    let size: usize = wanted.iter().map(|(_, fields)| size(fields)).sum();
    // A segment of 4,096 bytes has room for this in any case.
    if classes.is_empty() && size + 100 * wanted.len() > 2000 {
        classes.push("BatchTooLarge");
    }
    classes
}
