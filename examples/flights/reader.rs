//! The last process of a run: answers a question from the log by time range.
//!
//! It says what it finds, entry by entry; the witness counts.

use crate::Outcome;
use crate::args::ReadArgs;
use crate::csv;
use crate::hold::{STREAM, last_row, row_of};
use crate::wire::Report;
use streamlog::{EntryId, Store};

/// Reports each entry whose time lies in the range, and whether its flight was cancelled.
pub(crate) fn run(args: &ReadArgs) -> Outcome<()> {
    let store = Store::open(&args.dir)?;
    let Some(stream) = store.get(STREAM)? else {
        return Err("the stream is gone".into());
    };
    Report::Last(last_row(&stream)?).send()?;
    let from = EntryId::new(args.times.start, 0);
    let to = EntryId::new(args.times.end, 0);
    for entry in stream.range(from..to) {
        let entry = entry?;
        Report::Seen {
            row: row_of(entry.as_ref())?,
            id: entry.id(),
            sum: csv::checksum(entry.fields()),
            cancelled: entry.get("dep_time").is_none_or(csv::is_missing),
        }
        .send()?;
    }
    store.close()?;
    Report::Drained.send()?;
    Ok(())
}
