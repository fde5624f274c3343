//! The steps of the script, in their order.

use crate::id::EntryId;
use crate::known::Said;
use crate::script::{Run, Step, not_there};
use crate::younger;
use crate::{AppendOptions, ClaimOptions, GroupReadOptions, Result, Start, StreamOptions, Trim};
use std::time::Duration;

fn plain() -> AppendOptions {
    AppendOptions::new()
}

/// Fills the journal with what comes and goes, until it had to make room.
fn fill_journal(run: &mut Run) -> Result<()> {
    // On the stream that does not wait for each of them.
    let name = if run.is_always("a") { "b" } else { "a" };
    run.grouped(name, |run| {
        let group = run.group(name, "h")?;
        for n in 0..1_100 {
            let name = format!("{n:0>240}");
            group.create_consumer(&name)?;
            group.remove_consumer(&name)?;
        }
        Ok(())
    })
}

fn claim(run: &mut Run) -> Result<()> {
    run.grouped("a", |run| {
        let group = run.group("a", "g")?;
        let pending = group.pending_range(.., crate::PendingFilter::new().count(1))?;
        let ids: Vec<EntryId> = pending.into_iter().map(|one| one.id).collect();
        let options = ClaimOptions::new(Duration::ZERO);
        group.consumer("two")?.claim_with(ids, options).map(drop)
    })
}

fn auto_claim(run: &mut Run) -> Result<()> {
    run.grouped("a", |run| {
        let consumer = run.group("a", "g")?.consumer("three")?;
        consumer.auto_claim(EntryId::MIN, Duration::ZERO, 2).map(drop)
    })
}

fn history(run: &mut Run) -> Result<()> {
    run.grouped("a", |run| {
        run.group("a", "g")?.consumer("one")?.history(EntryId::MIN, 10).map(drop)
    })
}

fn group_of_its_own(run: &mut Run) -> Result<()> {
    run.grouped("a", |run| {
        let group = run.group("a", "h")?;
        group.create_consumer("made")?;
        drop(group.consumer("me")?.read(GroupReadOptions::new().count(2).no_ack())?);
        group.set_id(Start::First)?;
        group.remove_consumer("made").map(drop)
    })
}

fn delete(run: &mut Run) -> Result<()> {
    let ids = run.known.of("a").newest(3);
    let ids: Vec<EntryId> = ids.into_iter().skip(1).collect();
    run.removing("a", ids.clone(), |stream| stream.delete(ids))
}

fn delete_newest(run: &mut Run) -> Result<()> {
    let ids = run.known.of("b").newest(1);
    run.removing("b", ids.clone(), |stream| stream.delete(ids))
}

/// So that the ID may be taken back.
fn forget_deletion(run: &mut Run) -> Result<()> {
    let kept = run.known.of("b").newest(1).pop();
    let stream = run.stream("b")?;
    let last = stream.info()?.last_id;
    run.grouped("b", |_| stream.set_id(last, None, kept))
}

/// Restarts the log, unless what should have made way for that has failed.
fn set_back(run: &mut Run) -> Result<()> {
    let Some(kept) = run.known.of("b").newest(1).pop() else {
        return Ok(());
    };
    let stream = run.stream("b")?;
    let info = stream.info()?;
    let top = info.last.map_or(kept, |entry| entry.id()).max(info.max_deleted_id);
    if top > kept {
        return Ok(());
    }
    run.grouped("b", |_| stream.set_id(kept, None, None))
}

/// No ID comes a second time: each stands for one entry.
fn set_forward(run: &mut Run) -> Result<()> {
    let Some(highest) = run.known.of("b").entries.keys().next_back().copied() else {
        return Ok(());
    };
    let stream = run.stream("b")?;
    run.grouped("b", |_| stream.set_id(highest, None, None))
}

fn append_and_trim(run: &mut Run) -> Result<()> {
    let (may, _) = run.known.of("a").trimmed(10);
    run.known.of("a").dropped.extend(may);
    run.put("a", 100, plain().trim(Trim::max_len(11)))
}

fn read_everything(run: &mut Run) -> Result<()> {
    for name in ["a", "d"] {
        let stream = run.stream(name)?;
        for entry in stream.range(..).chain(stream.range(..).rev()) {
            entry?;
        }
        stream.info()?;
    }
    Ok(())
}

fn rename(run: &mut Run) -> Result<()> {
    run.naming(&["b", "d"], |store| store.rename("b", "d"))?;
    if let Some(stream) = run.streams.remove("b") {
        run.streams.insert("d", stream);
    }
    if let Some(said) = run.known.streams.remove("b") {
        run.known.streams.insert("d", said);
    }
    Ok(())
}

fn copy(run: &mut Run) -> Result<()> {
    let strict = run.is_always("c");
    if run.naming(&["c"], |store| store.copy("a", "c", false))? {
        let said = run.known.of("a").clone();
        // Its entries are synced; its name is, if the store's level says so.
        let mut copy = Said { groups_unsure: true, ..said };
        copy.entries.retain(|id, _| !copy.dropped.contains(id));
        copy.durable = if strict { copy.entries.keys().copied().collect() } else { [].into() };
        copy.acked.clear();
        copy.acked_unsure = copy.entries.keys().copied().collect();
        copy.removed.clear();
        run.known.streams.insert("c", copy);
    }
    Ok(())
}

fn remove(run: &mut Run) -> Result<()> {
    run.streams.remove("c");
    run.naming(&["c"], |store| store.remove("c"))?;
    run.known.streams.remove("c");
    Ok(())
}

fn sync(run: &mut Run) -> Result<()> {
    run.store()?.sync()?;
    run.known.settle();
    Ok(())
}

fn sync_stream(run: &mut Run) -> Result<()> {
    run.stream("b")?.sync()?;
    run.known.of("b").settle();
    Ok(())
}

const TWICE: &[Step] = &[
    ("append", |run| run.put("a", 60, plain())),
    ("append durably", |run| run.put("a", 60, plain().durable())),
    ("append to the other", |run| run.put("b", 60, plain())),
];

const FIRST_LIFE: &[Step] = &[
    ("open", Run::open),
    ("create a", |run| run.stream("a").map(drop)),
    ("create b", |run| run.stream("b").map(drop)),
    ("create a group", |run| {
        run.grouped("a", |run| run.stream("a")?.group("g", Start::First).map(drop))
    }),
    ("create another", |run| {
        run.grouped("a", |run| run.stream("a")?.group("h", Start::First).map(drop))
    }),
    ("create one of the other stream", |run| {
        run.grouped("b", |run| run.stream("b")?.group("g", Start::First).map(drop))
    }),
    ("create the ballast", |run| {
        run.grouped("b", |run| run.stream("b")?.group("h", Start::First).map(drop))
    }),
    ("let readers wait", Run::wait_readers),
    ("batch", |run| run.put_batch("a", 5, 40)),
    ("read as a consumer", |run| run.read_as("a", "one", 4)),
    ("ack", |run| run.ack("a", 2)),
    ("claim", claim),
    ("claim what is idle", auto_claim),
    ("read again", history),
    ("consumers and positions", group_of_its_own),
    ("read the other", |run| run.read_as("b", "one", 2)),
    ("ack there", |run| run.ack("b", 1)),
    ("sync a stream", sync_stream),
];

const FILL: &[Step] = &[("fill a segment", |run| run.put("a", 700, plain()))];

const LATER: &[Step] = &[
    ("large batch", |run| run.put_batch("a", 10, 600)),
    ("prepare", |run| run.store()?.step_prepare()),
    ("fill a segment", |run| run.put("a", 700, plain())),
    ("delete", delete),
    ("append and trim", append_and_trim),
    ("trim", |run| run.trim("a", 9)),
    ("background sync", |run| run.store()?.step_sync()),
    ("seal and drop", |run| run.store()?.step_prepare()),
    ("checkpoint", |run| run.store()?.step_checkpoint()),
    ("set the last ID", |run| {
        let stream = run.stream("a")?;
        let last = stream.info()?.last_id;
        run.grouped("a", |_| stream.set_id(EntryId::new(last.ms + 10, 0), None, None))
    }),
    ("delete the newest", delete_newest),
    ("forget that", forget_deletion),
    ("set it back", set_back),
    ("set it forward", set_forward),
    ("append behind that", |run| run.put("b", 60, plain())),
    ("clear away", |run| run.store()?.step_prepare()),
    ("set options", |run| {
        let stream = run.stream("a")?;
        let options = StreamOptions::new().segment_bytes(8192).max_entry_bytes(4000);
        run.grouped("a", |_| stream.set_options(&options.block_entries(20)))
    }),
    ("fill the journal", fill_journal),
    ("copy", copy),
    ("append to the copy", |run| run.put("c", 60, plain())),
    ("rename", rename),
    ("remove", remove),
    ("sync the store", sync),
    ("append unsynced", |run| run.put("a", 700, plain())),
];

const LAST_LIVES: &[Step] = &[
    ("close", Run::close),
    ("open again", Run::open),
    ("read everything", read_everything),
    ("read as a consumer", |run| run.read_as("a", "one", 3)),
    ("ack", |run| run.ack("a", 2)),
    ("append", |run| run.put("a", 700, plain())),
    ("append to the renamed one", |run| run.put("d", 700, plain())),
    ("trim", |run| run.trim("a", 2)),
    ("drop segments", |run| run.store()?.step_prepare()),
    ("remove a group", |run| run.grouped("a", |run| run.stream("a")?.remove_group("h").map(drop))),
    ("sync the store", sync),
    ("append", |run| run.put("a", 700, plain())),
    ("close", Run::close),
    ("open a third time", Run::open),
    ("recover", |run| run.store()?.recover_all()),
    ("read everything", read_everything),
    ("append", |run| run.put("a", 60, plain())),
];

/// Whether what such a step has done by the time of a failure is of use to the next one: the first
/// opening, the passes of the background, and a close, which can only be called once.
pub(crate) fn goes_on(name: &str) -> bool {
    matches!(name, "open" | "prepare" | "seal and drop" | "drop segments" | "clear away" | "close")
}

pub(crate) fn steps() -> Vec<Step> {
    let mut steps = [FIRST_LIFE, younger::EARLY].concat();
    for _ in 0..2 {
        steps.extend(TWICE);
    }
    for _ in 0..14 {
        steps.extend(FILL);
    }
    steps.extend(LATER);
    steps.extend(younger::LATER);
    steps.extend(&LAST_LIVES[..2]);
    steps.extend(younger::NEXT);
    steps.extend(&LAST_LIVES[2..]);
    steps.extend(younger::LAST);
    steps
}
