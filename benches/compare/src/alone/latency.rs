//! W12 and W14: how long single appends take that come at a fixed rate, as an application's do.
//!
//! A thread spins until the next append is due, so that it is on its processor when the time comes.
//! What a call took is counted, and besides how late it ended after it was due: one slow append
//! makes those behind it late, which the first figure alone would not show. Both hold one reading
//! of the clock, which is told.

use super::{FIELD, PAYLOAD, TEN_MS, choose, open};
use crate::measure::{Order, figure};
use crate::payload::Payloads;
use crate::peer::limit_map::LimitMap;
use crate::peer::{Outcome, Peer};
use crate::workload::Level;
use hdrhistogram::Histogram;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use streamlog::{Durability, Start, Stream};

/// Between two appends: 200,000 a second.
const STEP: Duration = Duration::from_micros(5);
const WARM_UP: Duration = Duration::from_millis(200);
const SYNC_EVERY: Duration = Duration::from_millis(10);
const READERS: usize = 4;
/// Each of the two ways is measured so often, in turn.
const TURNS: usize = 2;
/// Where an entry says when it was made.
const STAMP: usize = 8;

/// Nothing that is longer is told apart.
const LONGEST: u64 = 60_000_000_000;

/// Latencies in nanoseconds, to three digits.
pub struct Latencies(Histogram<u64>);

impl Latencies {
    fn new() -> Outcome<Latencies> {
        Ok(Latencies(Histogram::new_with_bounds(1, LONGEST, 3)?))
    }

    fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Microseconds that this part of them does not exceed.
    fn micros(&self, part: f64) -> f64 {
        self.0.value_at_quantile(part) as f64 / 1000.0
    }

    /// Prints the percentiles, with words before their names.
    fn report(&self, before: &str) {
        let parts = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];
        for (name, part) in parts {
            figure(&format!("{before}{name}_us"), self.micros(part));
        }
        figure(&format!("{before}max_us"), self.micros(1.0));
    }
}

/// What a spell of appends gave.
struct Spell {
    calls: Latencies,
    late: Latencies,
    time: Duration,
}

impl Spell {
    fn new() -> Outcome<Spell> {
        Ok(Spell { calls: Latencies::new()?, late: Latencies::new()?, time: Duration::ZERO })
    }

    /// Makes the calls that are due in this time.
    fn pace(&mut self, time: Duration, mut call: impl FnMut() -> Outcome<()>) -> Outcome<()> {
        let (start, mut due) = (Instant::now(), Duration::ZERO);
        while due < time {
            let mut now = start.elapsed();
            while now < due {
                std::hint::spin_loop();
                now = start.elapsed();
            }
            call()?;
            let end = start.elapsed();
            self.calls.record(end - now);
            self.late.record(end - due);
            due += STEP;
        }
        self.time += start.elapsed();
        Ok(())
    }

    fn rate(&self) -> f64 {
        self.calls.0.len() as f64 / self.time.as_secs_f64()
    }
}

fn paced_spell(order: &Order, mut append: impl FnMut(&[u8]) -> Outcome<()>) -> Outcome<()> {
    let mut payloads = Payloads::new(PAYLOAD, 0);
    Spell::new()?.pace(WARM_UP, || append(payloads.next()))?;
    let mut spell = Spell::new()?;
    spell.pace(Duration::from_millis(choose(order, 5000, 1500)), || append(payloads.next()))?;
    spell.calls.report("");
    spell.late.report("late_");
    figure("clock_us", clock_micros()?);
    figure("entries_per_s", spell.rate());
    Ok(())
}

/// What a call that does nothing would be told to take.
fn clock_micros() -> Outcome<f64> {
    let mut spell = Spell::new()?;
    spell.pace(Duration::from_millis(100), || Ok(()))?;
    Ok(spell.calls.micros(0.5))
}

/// W12.
pub fn paced(order: &Order) -> Outcome<()> {
    let (store, stream) = open(order, TEN_MS)?;
    paced_spell(order, |payload| {
        stream.append([(FIELD, payload)])?;
        Ok(())
    })?;
    Ok(store.close()?)
}

/// W12 by the limit: a thread that does nothing but fdatasync, and 10 ms after each one the next.
pub fn limit(order: &Order) -> Outcome<()> {
    let dir = order.store();
    let ring = LimitMap::<false>::open(&dir, Level::Unsynced)?;
    // A descriptor of its own, so that no lock is held while it syncs.
    let file = File::open(dir.join("ring"))?;
    file.sync_data()?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let syncs = scope.spawn(|| -> Outcome<()> {
            while !over.load(Ordering::Relaxed) {
                file.sync_data()?;
                thread::sleep(SYNC_EVERY);
            }
            Ok(())
        });
        let done = paced_spell(order, |payload| ring.append(&mut (), payload).map(drop));
        over.store(true, Ordering::Relaxed);
        syncs.join().map_err(|_| "the syncing thread panicked")??;
        done
    })
}

/// A payload that begins with the nanoseconds since `origin`.
fn stamped(origin: Instant, payload: &[u8]) -> [u8; PAYLOAD] {
    let mut bytes = [0; PAYLOAD];
    bytes.copy_from_slice(payload);
    let now = u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    bytes[..STAMP].copy_from_slice(&now.to_le_bytes());
    bytes
}

fn age(origin: Instant, payload: &[u8]) -> Outcome<Duration> {
    let stamp = payload.first_chunk::<STAMP>().ok_or("a payload without a time")?;
    let made = Duration::from_nanos(u64::from_le_bytes(*stamp));
    Ok(origin.elapsed().saturating_sub(made))
}

/// What the readers and the writer tell each other.
#[derive(Default)]
struct Signals {
    /// How many readers are where the stream ends.
    begun: AtomicUsize,
    /// No more entries will come.
    over: AtomicBool,
}

/// Follows until no more will come, and there was nothing for a while.
fn follow(stream: &Stream, origin: Instant, signals: &Signals) -> Outcome<(u64, Latencies)> {
    let (mut tail, mut lags, mut seen) = (stream.tail(Start::Last)?, Latencies::new()?, 0);
    signals.begun.fetch_add(1, Ordering::Release);
    loop {
        let last_look = signals.over.load(Ordering::Acquire);
        match tail.next_timeout(Duration::from_millis(50))? {
            Some(entry) => {
                lags.record(age(origin, entry.get(FIELD).ok_or("an entry without its field")?)?);
                seen += 1;
            }
            None if last_look => return Ok((seen, lags)),
            None => (),
        }
    }
}

/// Does `work`, which says how much it appended, while readers follow.
fn with_readers(
    (stream, origin): (&Stream, Instant),
    lags: &mut Latencies,
    work: impl FnOnce() -> Outcome<u64>,
) -> Outcome<()> {
    let signals = Signals::default();
    let (appended, followed) = thread::scope(|scope| {
        let follow = || follow(stream, origin, &signals);
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(follow)).collect();
        let ended = || readers.iter().any(|reader| reader.is_finished());
        while signals.begun.load(Ordering::Acquire) < READERS && !ended() {
            thread::yield_now();
        }
        let appended = work();
        signals.over.store(true, Ordering::Release);
        let joined = readers.into_iter().map(|reader| reader.join());
        let joined = joined.map(|seen| seen.map_err(|_| "a reader panicked")?);
        (appended, joined.collect::<Vec<Outcome<(u64, Latencies)>>>())
    });
    let appended = appended?;
    for reader in followed {
        let (seen, of_one) = reader?;
        if seen != appended {
            return Err(format!("a reader saw {seen} of {appended} entries").into());
        }
        lags.0.add(&of_one.0)?;
    }
    Ok(())
}

/// W14: without readers and with them, in turn.
pub fn tailing(order: &Order) -> Outcome<()> {
    let (store, stream) = open(order, Durability::default())?;
    let (origin, mut payloads) = (Instant::now(), Payloads::new(PAYLOAD, 0));
    let mut append = || -> Outcome<()> {
        let payload = stamped(origin, payloads.next());
        stream.append([(FIELD, &payload)])?;
        Ok(())
    };
    Spell::new()?.pace(WARM_UP, &mut append)?;
    let (mut without, mut with, mut lags) = (Spell::new()?, Spell::new()?, Latencies::new()?);
    let time = Duration::from_millis(choose(order, 1500, 500));
    for _ in 0..TURNS {
        without.pace(time, &mut append)?;
        with_readers((&stream, origin), &mut lags, || {
            let before = with.calls.0.len();
            with.pace(time, &mut append)?;
            Ok(with.calls.0.len() - before)
        })?;
    }
    with.calls.report("with_readers_");
    without.calls.report("alone_");
    figure("p50_to_alone", with.calls.micros(0.5) / without.calls.micros(0.5));
    figure("p99_to_alone", with.calls.micros(0.99) / without.calls.micros(0.99));
    figure("lag_p99_ms", lags.micros(0.99) / 1000.0);
    figure("lag_max_ms", lags.micros(1.0) / 1000.0);
    figure("entries_per_s", with.rate());
    Ok(store.close()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::new().expect("three digits");
        for micros in 1..=1000 {
            latencies.record(Duration::from_micros(micros));
        }
        for (part, micros) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let found = latencies.micros(part);
            assert!((found - micros).abs() <= micros / 1000.0, "{part}: {found}");
        }
    }

    #[test]
    fn a_slow_call_makes_those_behind_it_late() {
        let (mut spell, mut calls) = (Spell::new().expect("three digits"), 0);
        let slow = Duration::from_millis(5);
        let done = spell.pace(Duration::from_millis(10), || {
            calls += 1;
            if calls == 1 {
                thread::sleep(slow);
            }
            Ok(())
        });
        done.expect("no call fails");
        assert_eq!(calls, 2000);
        // One call of 2,000 was slow, and the thousand that came due meanwhile were late.
        assert!(spell.calls.micros(0.9) < 1000.0);
        assert!(spell.late.micros(0.75) > 2000.0);
        assert!(spell.calls.micros(1.0) >= 5000.0);
    }

    #[test]
    fn the_age_of_an_entry_is_the_time_since_it_was_made() {
        let origin = Instant::now();
        let payload = stamped(origin, &[b'x'; PAYLOAD]);
        thread::sleep(Duration::from_millis(2));
        let age = age(origin, &payload).expect("it has a time");
        assert!(age >= Duration::from_millis(2) && age < Duration::from_secs(10), "{age:?}");
    }
}
