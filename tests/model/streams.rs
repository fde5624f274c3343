//! Plays what changes streams but for appends, and what changes their names.

use streamlog::{EntryId, Retention, Store, Stream, StreamOptions, Trim};

use crate::naive::Keep;
use crate::op::{Cut, Pick, STREAMS, To};
use crate::run::{Checked, Kept, Run, answer, good, holds, same};

impl Run {
    pub(crate) fn cut(&self, stream: usize, cut: Cut) -> Trim {
        let mut trim = match cut.to {
            To::MaxLen(entries) => Trim::max_len(u64::from(entries)),
            To::MinId(pick) => Trim::min_id(self.pick(stream, pick)),
        };
        if cut.approximate {
            trim = trim.approximate();
        }
        match cut.limit {
            Some(entries) => trim.limit(u64::from(entries)),
            None => trim,
        }
    }

    /// How many entries an exact trim removes, from a picked ID that was resolved before.
    pub(crate) fn cut_removes(&mut self, stream: usize, cut: Cut, min_id: EntryId) -> u64 {
        let model = self.model(stream);
        let wanted = match cut.to {
            To::MaxLen(entries) => model.above_len(u64::from(entries)),
            To::MinId(_) => model.below(min_id),
        };
        wanted.min(model.free())
    }

    /// Takes over how many an approximate trim has removed, if that may be.
    pub(crate) fn check_cut(
        &mut self,
        stream: usize,
        cut: Cut,
        exactly: u64,
        removed: u64,
    ) -> Checked {
        let limit = cut.limit.filter(|limit| *limit > 0).map_or(u64::MAX, u64::from);
        match cut.approximate {
            false => same("removed by a trim", removed, exactly)?,
            true => holds("an approximate trim removed", removed <= exactly.min(limit), removed)?,
        }
        self.model(stream).drop_oldest(removed);
        Ok(())
    }
}

impl Run {
    pub(crate) fn delete(&mut self, stream: usize, ids: &[Pick]) -> Checked {
        let Some(handle) = self.stream(stream)? else {
            return Ok(());
        };
        let ids = self.picks(stream, ids);
        let removed = good("delete", handle.delete(ids.iter().copied()))?;
        let deleted = self.model(stream).delete(&ids);
        for kept in self.snapshots_of(stream) {
            let to = kept.shared_to;
            kept.entries.retain(|(id, _)| *id > to || !deleted.contains(id));
        }
        same("delete", removed, deleted.len() as u64)
    }

    /// The snapshots that are told of what is deleted in a stream.
    pub(crate) fn snapshots_of(&mut self, stream: usize) -> impl Iterator<Item = &mut Kept> {
        let which = (self.model(stream).number, self.opening);
        self.snapshots.iter_mut().filter(move |kept| (kept.number, kept.opening) == which)
    }

    pub(crate) fn trim(&mut self, stream: usize, cut: Cut) -> Checked {
        let Some(handle) = self.stream(stream)? else {
            return Ok(());
        };
        let trim = self.cut(stream, cut);
        let min_id = match cut.to {
            To::MinId(pick) => self.pick(stream, pick),
            To::MaxLen(_) => EntryId::MIN,
        };
        let got = answer(handle.trim(trim));
        if cut.limit.is_some() && !cut.approximate {
            return same("trim", got, Err("InvalidTrim".into()));
        }
        let removed = got.map_err(|class| format!("trim: {class}"))?;
        let exactly = self.cut_removes(stream, cut, min_id);
        self.check_cut(stream, cut, exactly, removed)
    }

    pub(crate) fn set_id(
        &mut self,
        stream: usize,
        last: Pick,
        added: Option<i8>,
        max_deleted: Option<Pick>,
    ) -> Checked {
        let Some(handle) = self.stream(stream)? else {
            return Ok(());
        };
        let last = self.pick(stream, last);
        let max_deleted = max_deleted.map(|pick| self.pick(stream, pick));
        let model = self.model(stream);
        let added = added.map(|by| model.length().saturating_add_signed(i64::from(by)));
        let got = answer(handle.set_id(last, added, max_deleted));
        let wanted = match model.set_id(last, added, max_deleted) {
            true => Ok(()),
            false => Err("SetIdTooSmall".to_owned()),
        };
        if wanted.is_ok() {
            for kept in self.snapshots_of(stream) {
                kept.shared_to = kept.shared_to.min(last);
            }
        }
        same("set_id", got, wanted)
    }

    pub(crate) fn keep(
        &mut self,
        stream: usize,
        keep: (Option<u8>, Option<Pick>, bool),
    ) -> Checked {
        let Some(handle) = self.stream(stream)? else {
            return Ok(());
        };
        let (max_len, min_id, unacked) = keep;
        let min_id = min_id.map(|pick| self.pick(stream, pick));
        let keep = Keep { max_len: max_len.map(u64::from), min_id, unacked };
        good("set_retention", handle.set_retention(retention(&keep)))?;
        self.set_keep(stream, keep);
        same("retention", good("retention", handle.retention())?, retention(&keep))
    }

    fn set_keep(&mut self, stream: usize, keep: Keep) {
        let model = self.model(stream);
        model.keep = keep;
    }

    pub(crate) fn set_options(
        &mut self,
        stream: usize,
        block_entries: u32,
        keep: Option<u8>,
    ) -> Checked {
        let Some(handle) = self.stream(stream)? else {
            return Ok(());
        };
        let mut options = StreamOptions::new().segment_bytes(4096).block_entries(block_entries);
        self.model(stream).options = options.clone();
        if let Some(max_len) = keep {
            let keep = Keep { max_len: Some(u64::from(max_len)), ..Keep::default() };
            options = options.retention(retention(&keep));
            self.set_keep(stream, keep);
        }
        good("set_options", handle.set_options(&options))?;
        self.check_options(stream, &handle)
    }

    pub(crate) fn check_options(&mut self, stream: usize, handle: &Stream) -> Checked {
        let model = self.model(stream);
        let mut options = model.options.clone();
        if model.keep != Keep::default() {
            options = options.retention(retention(&model.keep));
        }
        same("options", good("options", handle.options())?, options)
    }
}

pub(crate) fn retention(keep: &Keep) -> Retention {
    let mut retention = Retention::new();
    if let Some(max_len) = keep.max_len {
        retention = retention.max_len(max_len);
    }
    if let Some(min_id) = keep.min_id {
        retention = retention.min_id(min_id);
    }
    if keep.unacked { retention.keep_unacked() } else { retention }
}

/// What a handle of a stream answers that is gone.
fn is_gone(handle: Option<&Stream>) -> Checked {
    let Some(handle) = handle else {
        return Ok(());
    };
    same("the handle of a removed stream", answer(handle.len()), Err("NoStream".into()))
}

impl Run {
    pub(crate) fn remove(&mut self, stream: usize) -> Checked {
        let handle = self.stream(stream)?;
        let removed = good("remove", self.store().remove(STREAMS[stream]))?;
        same("remove", removed, self.streams.remove(STREAMS[stream]).is_some())?;
        is_gone(handle.as_ref())
    }

    pub(crate) fn rename(&mut self, from: usize, to: usize) -> Checked {
        let (moved, replaced) = (self.stream(from)?, self.stream(to)?);
        let renamed = answer(self.store().rename(STREAMS[from], STREAMS[to]));
        let Some(model) = self.streams.remove(STREAMS[from]) else {
            return same("rename", renamed, Err("NoStream".into()));
        };
        same("rename", renamed, Ok(()))?;
        let length = model.length();
        self.streams.insert(STREAMS[to], model);
        if from != to {
            is_gone(replaced.as_ref())?;
        }
        let moved = moved.ok_or("no stream")?;
        same("the name of a handle", moved.name(), STREAMS[to].as_bytes().to_vec())?;
        same("len, renamed", good("len", moved.len())?, length)
    }

    pub(crate) fn copy(&mut self, from: usize, to: usize, replace: bool) -> Checked {
        let replaced = self.stream(to)?;
        let copied = answer(self.store().copy(STREAMS[from], STREAMS[to], replace));
        if from == to {
            return same("copy", copied, Err("InvalidArgument".into()));
        }
        let there = self.streams.get(STREAMS[from]).cloned();
        let Some(mut model) = there.filter(|_| replace || replaced.is_none()) else {
            return same("copy", copied, Ok(false));
        };
        same("copy", copied, Ok(true))?;
        model.number = self.serial();
        self.streams.insert(STREAMS[to], model);
        is_gone(replaced.as_ref())
    }

    pub(crate) fn sync(&mut self, stream: Option<usize>) -> Checked {
        let Some(stream) = stream else {
            return good("sync", Store::sync(self.store()));
        };
        let Some(handle) = self.stream(stream)? else {
            return Ok(());
        };
        let durable = good("sync", handle.sync())?;
        same("durable_id", good("durable_id", handle.durable_id())?, durable)
    }
}
