//! What streamlog must reach. Each floor is a ratio taken in one run, or a number that does not
//! depend on the machine.

use crate::peer::OURS;
use crate::results::Results;
use crate::workload;

/// A floor and what became of it.
pub struct Floor {
    pub what: &'static str,
    pub asked: String,
    pub reached: String,
    /// `None` if the run did not measure what it takes.
    pub passed: Option<bool>,
}

/// Single appends must be this many times as fast as raft-engine's.
const TIMES_RAFT_ENGINE: f64 = 5.0;
/// A scan must be this fast, or half as fast as memory is read.
const SCAN: f64 = 5e6;
/// Opening may read this part of the sealed segments: headers, footers, indexes, and what the
/// kernel reads around each, which is most of what small segments have. Frames would be all of it;
/// whether a single one is read shows at the damaged one.
const READ_OF_FRAMES: f64 = 1.0 / 16.0;
/// Opening a larger store may take this many times as long, and a little more.
const OPEN_TIMES: f64 = 2.0;
const OPEN_SLACK_MS: f64 = 5.0;
/// Anonymous memory of an open store, as a part of its entries: an index entry of 32 bytes for each
/// block of 4 KiB is less than half of it, entries kept in memory would be all of it.
const ANON_OF_ENTRIES: f64 = 0.02;

/// Checks all floors.
pub fn check(results: &Results) -> Vec<Floor> {
    let run = Run(results);
    vec![
        run.append(),
        run.scan("W6", "full scan, appended one by one, checksums verified"),
        run.scan("W6b", "full scan, appended in batches, checksums verified"),
        run.resident("W8", "part of the sealed segments that opening reads, none of it in memory"),
        run.resident("W8k", "the same after a kill"),
        run.time(),
        run.blind(),
        run.memory("W8m", "anonymous memory with 1 M entries of 100 B open, after 1,000 seeks"),
        run.memory("W8w", "anonymous memory with the large store of 1 KiB entries open"),
    ]
}

struct Run<'a>(&'a Results);

impl Run<'_> {
    fn ours(&self, workload: &str, metric: &str) -> Option<f64> {
        self.0.spread(workload, OURS, metric).map(|spread| spread.median)
    }

    fn append(&self) -> Floor {
        let ratio = self.0.ratio("W1", "entries_per_s", (OURS, "raft-engine"));
        Floor {
            what: "single appends of 100 B at Manual, beside raft-engine with sync off",
            asked: format!(">= {TIMES_RAFT_ENGINE} x"),
            reached: ratio.map_or(missing(), |r| {
                format!("{:.2} x ({:.2} to {:.2})", r.median, r.least, r.most)
            }),
            passed: ratio.map(|ratio| ratio.median >= TIMES_RAFT_ENGINE),
        }
    }

    fn scan(&self, id: &'static str, what: &'static str) -> Floor {
        let bytes = self.ours(if id == "W6" { "W10" } else { "W10b" }, "used_bytes_per_entry");
        let memory = self.0.spread("M", "limit: memory", "sum_bytes_per_s");
        let half = memory.zip(bytes).map(|(memory, bytes)| memory.median / bytes / 2.0);
        let reached = self.ours(id, "entries_per_s");
        Floor {
            what,
            asked: half.map_or(missing(), |half| {
                format!(
                    ">= {} entries/s, the less of 5 M and half of memory",
                    million(half.min(SCAN))
                )
            }),
            reached: reached.map_or(missing(), |speed| format!("{} entries/s", million(speed))),
            passed: half.zip(reached).map(|(half, reached)| reached >= half.min(SCAN)),
        }
    }

    fn resident(&self, id: &'static str, what: &'static str) -> Floor {
        let part = self.ours(id, "finished_resident_kib").zip(self.ours(id, "finished_kib"));
        Floor {
            what,
            asked: format!("<= {:.2} %", READ_OF_FRAMES * 100.0),
            reached: part.map_or(missing(), |(resident, all)| {
                format!("{:.2} % of {:.0} MiB", resident / all * 100.0, all / 1024.0)
            }),
            passed: part.map(|(resident, all)| resident <= all * READ_OF_FRAMES),
        }
    }

    fn time(&self) -> Floor {
        let (small, large) = (self.ours("W8ws", "open_ms"), self.ours("W8w", "open_ms"));
        let limit = small.map(|small| small * OPEN_TIMES + OPEN_SLACK_MS);
        Floor {
            what: "time to open the large store, beside the small one, all in memory",
            asked: limit.map_or(missing(), |most| format!("<= {most:.2} ms, 2 x the small + 5 ms")),
            reached: small.zip(large).map_or(missing(), |(small, large)| {
                format!("{large:.2} ms (small: {small:.2} ms)")
            }),
            passed: large.zip(limit).map(|(large, limit)| large <= limit),
        }
    }

    fn blind(&self) -> Floor {
        let opened = self.0.spread("W8b", OURS, "opened");
        Floor {
            what: "a store with a damaged frame in a sealed segment opens; the scan refuses it",
            asked: "opens".to_owned(),
            reached: opened.map_or(missing(), |opened| {
                if opened.least > 0.0 { "opens".to_owned() } else { "is refused".to_owned() }
            }),
            passed: opened.map(|opened| opened.least > 0.0),
        }
    }

    fn memory(&self, id: &'static str, what: &'static str) -> Floor {
        let kib = self.0.spread(id, OURS, "anon_after_seeks_kib");
        let bytes = workload::find(id)
            .map(|workload| workload.filled(self.0.is_quick()) * workload.payload as u64);
        let most = bytes.map_or(0.0, |bytes| bytes as f64 / 1024.0 * ANON_OF_ENTRIES);
        let share = ANON_OF_ENTRIES * 100.0;
        Floor {
            what,
            asked: format!("<= {most:.0} KiB, {share} % of the payload"),
            reached: kib.map_or(missing(), |kib| format!("{:.0} KiB at most", kib.most)),
            passed: kib.map(|kib| kib.most <= most),
        }
    }
}

fn missing() -> String {
    "not measured".to_owned()
}

fn million(speed: f64) -> String {
    format!("{:.2} M", speed / 1e6)
}
