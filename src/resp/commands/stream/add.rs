//! XADD.

use super::args::{Parsed, is, is_sign, new_id, refused};
use super::prelude::*;
use super::trim::TrimWords;
use crate::error::ErrorKind;
use crate::id::{EntryId, NewId};
use crate::options::AppendOptions;
use crate::stream::{Appended, Stream};

const TWICE: &str = "ERR syntax error, IDMP/IDMPAUTO specified multiple times";
const NO_PRODUCER_AUTO: &str = "ERR syntax error, IDMPAUTO requires a non-empty producer ID";
const NO_PRODUCER: &str = "ERR syntax error, IDMP requires a non-empty producer ID";
const NO_IDEMPOTENT_ID: &str = "ERR syntax error, IDMP requires a non-empty idempotent ID";
const GIVEN_ID: &str = "ERR syntax error, IDMP/IDMPAUTO can be used only with auto-generated IDs";

/// Which message an append is, for a producer that may send it twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Producer<'a> {
    pub(super) pid: &'a [u8],
    /// `None` is IDMPAUTO: the fields tell.
    pub(super) iid: Option<&'a [u8]>,
}

#[derive(Debug, Default)]
struct AddWords<'a> {
    trim: TrimWords,
    make_none: bool,
    producer: Option<Producer<'a>>,
    /// `None` if all words were options.
    id: Option<NewId>,
    fields: &'a [&'a [u8]],
}

impl<'a> AddWords<'a> {
    fn read(words: &'a [&'a [u8]]) -> Parsed<AddWords<'a>> {
        let mut read = AddWords::default();
        let mut left = words;
        while let [word, rest @ ..] = left {
            if is_sign(word, b'*') {
                (read.id, read.fields) = (Some(NewId::Auto), rest);
                break;
            }
            let mut taken = read.trim.take(left)?;
            if taken == 0 {
                taken = read.take_own(left)?;
            }
            if taken == 0 {
                (read.id, read.fields) = (Some(new_id(word)?), rest);
                break;
            }
            left = left.get(taken..).unwrap_or_default();
        }
        read.trim.check(false)?;
        if read.producer.is_some() && read.id.is_some_and(|id| id != NewId::Auto) {
            return refused(GIVEN_ID);
        }
        Ok(read)
    }

    /// As [`TrimWords::take`], for the options that XTRIM has not.
    fn take_own(&mut self, words: &'a [&'a [u8]]) -> Parsed<usize> {
        match words {
            [word, ..] if is(word, "NOMKSTREAM") => {
                self.make_none = true;
                Ok(1)
            }
            [word, pid, ..] if is(word, "IDMPAUTO") => {
                self.take_producer(Producer { pid, iid: None }, NO_PRODUCER_AUTO)
            }
            [word, pid, iid, ..] if is(word, "IDMP") => {
                self.take_producer(Producer { pid, iid: Some(iid) }, NO_PRODUCER)
            }
            _ => Ok(0),
        }
    }

    fn take_producer(&mut self, producer: Producer<'a>, no_pid: &'static str) -> Parsed<usize> {
        if self.producer.is_some() {
            return refused(TWICE);
        }
        if producer.pid.is_empty() {
            return refused(no_pid);
        }
        if producer.iid.is_some_and(<[u8]>::is_empty) {
            return refused(NO_IDEMPOTENT_ID);
        }
        self.producer = Some(producer);
        Ok(if producer.iid.is_some() { 3 } else { 2 })
    }
}

/// XADD.
pub(crate) fn xadd(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, words @ ..] = args else {
        return Err(Refusal::arity("xadd"));
    };
    let words = AddWords::read(words)?;
    let (pairs, odd) = words.fields.as_chunks::<2>();
    let (Some(id), false, [_, ..]) = (words.id, !odd.is_empty(), pairs) else {
        return Err(Refusal::arity("xadd"));
    };
    if id == NewId::Exact(EntryId::MIN) {
        return refused("ERR The ID specified in XADD must be greater than 0-0");
    }
    let mut options = AppendOptions::new().id(id);
    if let Some(trim) = words.trim.trim() {
        options = options.trim(trim);
    }
    let options = match words.producer {
        None => options,
        Some(Producer { pid, iid: Some(iid) }) => options.idempotent(pid, iid),
        Some(Producer { pid, iid: None }) => options.idempotent_auto(pid),
    };
    let fields = pairs.iter().map(|[name, value]| (name, value));
    let append = |context: &mut Context<'_>, stream: &Stream| match id {
        NewId::Auto if !context.may_block => append_at(stream, context.now_ms(), fields, options),
        _ => stream.append_outcome(fields, options),
    };
    let done = if words.make_none {
        let Some(stream) = context.stream(key)? else {
            out.null();
            return Ok(Done::Replied);
        };
        append(context, &stream)?
    } else {
        context.change_or_create(key, append)?
    };
    match done.duplicate {
        // It gives nobody anything to read; the reply waits for the disk all the same, where the
        // first entry may be on its way.
        true => context.changed_quietly(key, 1),
        false => context.changed(key, 1),
    }
    out.id(done.id);
    Ok(Done::Replied)
}

/// A generated ID of a transaction: all of it has one time, whatever the clock says by now. Where
/// the stream is ahead of that time, the ID is the next one as always.
fn append_at<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    stream: &Stream,
    now_ms: u64,
    fields: impl Iterator<Item = (N, V)> + Clone,
    options: AppendOptions,
) -> crate::Result<Appended> {
    let at = options.clone().id(NewId::AutoSeq(now_ms));
    match stream.append_outcome(fields.clone(), at) {
        Err(e) if matches!(e.kind(), ErrorKind::IdNotGreater { .. }) => {
            stream.append_outcome(fields, options)
        }
        appended => appended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(words: &'a [&'a [u8]]) -> Result<AddWords<'a>, String> {
        AddWords::read(words).map_err(|refusal| refusal.0.into_owned())
    }

    fn split(line: &str) -> Vec<&[u8]> {
        line.split(' ').map(str::as_bytes).collect()
    }

    #[test]
    fn the_first_word_that_is_no_option_is_the_id() {
        let words = split("NOMKSTREAM MAXLEN ~ 10 LIMIT 5 KEEPREF 5-* MAXLEN 1");
        let read = read(&words).unwrap();
        assert!(read.make_none);
        assert_eq!(read.id, Some(NewId::AutoSeq(5)));
        assert_eq!(read.fields, split("MAXLEN 1"));
    }

    #[test]
    fn each_error_has_its_text() {
        let text = |line: &str| read(&split(line)).unwrap_err();
        let invalid = Refusal::INVALID_ID.0;
        assert_eq!(text("KEEPREF KEEPREF * f v"), invalid);
        assert_eq!(text("IDMP p1 * f v"), invalid);
        assert_eq!(text("IDMP p1 i1 IDMP p2 i2 * f v"), TWICE);
        assert_eq!(text("IDMPAUTO p1 IDMP p2 i2 * f v"), TWICE);
        assert_eq!(text("IDMPAUTO  * f v"), NO_PRODUCER_AUTO);
        assert_eq!(text("IDMP  i * f v"), NO_PRODUCER);
        assert_eq!(text("IDMP p  * f v"), NO_IDEMPOTENT_ID);
        assert_eq!(text("IDMP p i 1-* f v"), GIVEN_ID);
        assert_eq!(text("IDMPAUTO p 1-1 f v"), GIVEN_ID);
    }

    #[test]
    fn a_sign_may_be_an_idempotent_id() {
        let words = split("IDMP p * * f v");
        let read = read(&words).unwrap();
        assert_eq!(read.producer, Some(Producer { pid: b"p", iid: Some(b"*") }));
        assert_eq!(read.fields, split("f v"));
    }
}
