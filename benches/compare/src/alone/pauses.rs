//! Whether a checkpoint of much that is pending holds up those who go on working.
//!
//! Of each quarter of a second in which a checkpoint was begun the longest call in which the thread
//! slept until another one was done, and of these the median. A call that the system itself held up
//! counts for the longest of all only: to end the writes of a checkpoint it takes the thread's
//! processor for a millisecond or three, from any thread and without a lock.

use super::{NAME, choose, fill, open};
use crate::measure::{Order, figure};
use crate::payload::Random;
use crate::peer::Outcome;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};
use streamlog::{ClaimOptions, Durability, EntryId, GroupReadOptions, Start};

const COUNT: usize = 1_000;
/// Shorter calls are not looked at.
const LONG: Duration = Duration::from_micros(50);
const QUARTER: Duration = Duration::from_millis(250);
/// As long as the header of a file.
const HEADER: u64 = 128;

pub fn run(order: &Order) -> Outcome<()> {
    let (store, stream) = open(order, Durability::Manual)?;
    if order.fills {
        fill(&stream, order.workload.payload, order.workload.filled(order.quick), |_| ())?;
        return Ok(store.close()?);
    }
    let group = store.get(NAME)?.ok_or("the stream is gone")?.group("workers", Start::First)?;
    let consumers = [group.consumer("one")?, group.consumer("other")?];
    let mut ids: Vec<EntryId> = Vec::new();
    loop {
        let delivery = consumers[0].read(GroupReadOptions::new().count(COUNT))?;
        if delivery.is_empty() {
            break;
        }
        ids.extend(delivery.ids());
    }
    let (mut random, mut waits, mut begun) = (Random::new(1), Vec::new(), 0);
    let (mut longest, mut slept) = (Duration::ZERO, sleeps()?);
    for _ in 0..choose(order, 40, 16) {
        let before = headers(&order.store());
        let (start, mut wait) = (Instant::now(), Duration::ZERO);
        let mut now = start;
        while now - start < QUARTER {
            // Anywhere in the list: each is another part of it.
            let id = ids[random.below(ids.len() as u64) as usize];
            let taker = &consumers[random.below(2) as usize];
            let claimed = taker.claim_ids([id], ClaimOptions::new(Duration::ZERO))?;
            if claimed != [id] {
                return Err(format!("{id} was not claimed").into());
            }
            let then = std::mem::replace(&mut now, Instant::now());
            let took = now - then;
            longest = longest.max(took);
            if took > wait.max(LONG) {
                let now_slept = sleeps()?;
                if now_slept > slept {
                    (wait, slept) = (took, now_slept);
                }
                now = Instant::now();
            }
        }
        let changed = before.iter().zip(headers(&order.store())).filter(|(a, b)| **a != *b);
        if changed.count() > 0 {
            begun += 1;
            waits.push(wait.as_secs_f64() * 1000.0);
        }
    }
    if begun == 0 {
        return Err("there was no checkpoint".into());
    }
    waits.sort_unstable_by(f64::total_cmp);
    figure("checkpoints_begun", begun as f64);
    figure("longest_wait_ms", waits[waits.len() / 2]);
    figure("longest_wait_of_all_ms", waits[waits.len() - 1]);
    figure("longest_call_ms", longest.as_secs_f64() * 1000.0);
    let pending = group.pending()?.count;
    if pending != ids.len() as u64 {
        return Err(format!("{pending} of {} entries are pending", ids.len()).into());
    }
    Ok(store.close()?)
}

/// How often this thread has slept until something was there that it waited for.
fn sleeps() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    Ok(count.ok_or("no voluntary_ctxt_switches")?.trim().parse()?)
}

/// What the journal's files begin with, which is another thing each time one is taken into use.
fn headers(store: &Path) -> [Vec<u8>; 3] {
    ["0", "1", "2"].map(|file| {
        let mut header = Vec::new();
        let file = File::open(store.join("state").join(file));
        let read = file.and_then(|file| file.take(HEADER).read_to_end(&mut header));
        read.map_or(Vec::new(), |_| header)
    })
}
