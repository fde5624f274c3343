//! W13: what reaches the device for an append of 100 bytes that is durable.
//!
//! The device's own counter is what is asked for. It holds the file system's journal, and what
//! others write; the figure is the median of some rounds, so that a burst of another program drops
//! out, and what the device wrote while nothing was done is told. `own_bytes` is what the kernel
//! charged to this process when it made pages dirty: whole folios, whether or not all of one is
//! written.
//!
//! The first MiBs of a file do not show what large folios cost, so that the figure is taken behind
//! 160 MiB of entries, and beside it at the start.

use super::{FIELD, TEN_MS, Timing, choose, fill, open};
use crate::measure::{Order, figure};
use crate::payload::Payloads;
use crate::peer::Outcome;
use crate::usage::{self, Device};
use std::thread::sleep;
use std::time::{Duration, Instant};
use streamlog::{Durability, Stream};

const DEEP: u64 = 160 << 20;
/// Entries that are written in one go to get there.
const FILL: usize = 128 << 10;
const IDLE: Duration = Duration::from_millis(300);
const EVERY: Duration = Duration::from_millis(10);

struct Round<'a> {
    stream: &'a Stream,
    device: &'a Device,
    payloads: Payloads,
    timing: Timing,
}

impl Round<'_> {
    /// Bytes of the device and of this process for each of `appends`.
    fn run(&mut self, appends: u32) -> Outcome<(f64, f64)> {
        let before = (self.device.written()?, usage::dirtied()?);
        for _ in 0..appends {
            let id = self.stream.append([(FIELD, self.payloads.next())])?;
            if let Timing::Interval = self.timing {
                // No call asks for the sync: it is the one that comes each 10 ms.
                let since = Instant::now();
                while self.stream.durable_id()? < id {
                    if since.elapsed() > 100 * EVERY {
                        return Err("no sync came".into());
                    }
                    sleep(EVERY / 20);
                }
            }
        }
        let after = (self.device.written()?, usage::dirtied()?);
        let each = |bytes: u64| bytes as f64 / f64::from(appends);
        Ok((each(after.0 - before.0), each(after.1 - before.1)))
    }

    /// Medians over rounds.
    fn medians(&mut self, (rounds, appends): (u32, u32)) -> Outcome<(f64, f64)> {
        let (mut device, mut own) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (of_device, of_process) = self.run(appends)?;
            device.push(of_device);
            own.push(of_process);
        }
        let median = |values: &mut Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Ok((median(&mut device), median(&mut own)))
    }
}

/// Lets the device come to rest; bytes a second that it writes then.
fn idle(device: &Device) -> Outcome<f64> {
    rustix::fs::sync();
    let before = device.written()?;
    sleep(IDLE);
    Ok((device.written()? - before) as f64 / IDLE.as_secs_f64())
}

/// Measures it.
pub fn run(order: &Order, timing: Timing) -> Outcome<()> {
    let (level, rounds) = match timing {
        Timing::Always => (Durability::Always, choose(order, (11, 100), (5, 50))),
        Timing::Interval => (TEN_MS, choose(order, (7, 20), (3, 10))),
    };
    let (store, stream) = open(order, level)?;
    let (device, payloads) = (Device::below(&order.store())?, Payloads::new(super::PAYLOAD, 0));
    let mut round = Round { stream: &stream, device: &device, payloads, timing };
    round.run(10)?;
    idle(&device)?;
    let (at_start, own_at_start) = round.medians(rounds)?;
    // Large entries are the quick way to a deep place.
    fill(&stream, FILL, DEEP / FILL as u64, |_| ())?;
    store.sync()?;
    let at_rest = idle(&device)?;
    round.run(10)?;
    let (deep, own) = round.medians(rounds)?;
    figure("device_bytes_per_append", deep);
    figure("own_bytes_per_append", own);
    figure("device_bytes_at_start", at_start);
    figure("own_bytes_at_start", own_at_start);
    figure("idle_device_bytes_per_s", at_rest);
    Ok(store.close()?)
}
