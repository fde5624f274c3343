//! The milliseconds of the system's clock, which every entry's ID is made of, without asking the
//! system each time: to ask takes about as long as all else that an append computes.
//!
//! Whoever asked once knows when the millisecond ends, and how many ticks the processor counts
//! until then ([`ticks`]). Until they are over, the millisecond is the same. This rests on nothing
//! but that ticks come at one pace for some milliseconds; they may begin anew, or jump (another
//! processor, a machine that slept or moved to another host), and the clock may be set: each is
//! noticed at the latest when the millisecond is over.

use super::ticks::ticks;
use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const MILLISECOND: u64 = 1_000_000;
/// A pace is measured over no less, and over no more than a thread can be trusted to look at.
const LEAST: u64 = 10 * MILLISECOND;
const MOST: u64 = 1_000 * MILLISECOND;
/// The unit of a pace: ticks in so many nanoseconds.
const UNIT: u64 = 1024;
/// No processor counts faster.
const FASTEST: u64 = 8 * UNIT;

/// Milliseconds since 1970 by the system's clock.
#[inline]
pub(crate) fn unix_ms() -> u64 {
    let Known { from, to, ms } = KNOWN.get();
    if to != 0 && ticks().is_some_and(|now| from <= now && now < to) { ms } else { look() }
}

/// A millisecond, and the ticks in which it surely is the present one.
#[derive(Clone, Copy)]
struct Known {
    from: u64,
    to: u64,
    ms: u64,
}

/// A moment by all three clocks. The ticks may have been counted a little later or earlier.
#[derive(Clone, Copy)]
struct Moment {
    ticks: u64,
    system: SystemTime,
    steady: Instant,
}

/// Where the measurement of the pace began, and the last two that came out.
type Pace = (Option<Moment>, u64, u64);

thread_local! {
    static KNOWN: Cell<Known> = const { Cell::new(Known { from: 0, to: 0, ms: 0 }) };
    static PACE: Cell<Pace> = const { Cell::new((None, 0, 0)) };
}

#[cold]
fn look() -> u64 {
    // A thread that is stopped between two of these learns of a slower pace and of an earlier end,
    // never of a faster one or of a later end.
    let before = ticks();
    let (system, steady) = (SystemTime::now(), Instant::now());
    let now = system.duration_since(UNIX_EPOCH).unwrap_or_default();
    let ms = now.as_secs().saturating_mul(1000).saturating_add(u64::from(now.subsec_millis()));
    let (Some(before), Some(after)) = (before, ticks()) else {
        return ms;
    };
    let (begun, last, one_before) = PACE.get();
    let ended = Moment { ticks: before, system, steady };
    let (begun, last, one_before) = match begun.map(|begun| measure(begun, ended)) {
        Some(Measured::TooEarly) => (begun, last, one_before),
        Some(Measured::Pace(pace)) => (Some(Moment { ticks: after, ..ended }), pace, last),
        Some(Measured::Nothing) | None => (Some(Moment { ticks: after, ..ended }), 0, 0),
    };
    PACE.set((begun, last, one_before));
    let left = MILLISECOND - u64::from(now.subsec_nanos()) % MILLISECOND;
    KNOWN.set(Known { from: before, to: before + surely(left, last.min(one_before)), ms });
    ms
}

enum Measured {
    TooEarly,
    Pace(u64),
    /// Too late, or the clocks tell what cannot be.
    Nothing,
}

fn measure(begun: Moment, ended: Moment) -> Measured {
    // One of the two may have been set, the other does not count while the machine sleeps.
    let system = ended.system.duration_since(begun.system).unwrap_or_default();
    let passed = nanoseconds(system.max(ended.steady.duration_since(begun.steady)));
    let Some(ticks) = ended.ticks.checked_sub(begun.ticks) else {
        return Measured::Nothing;
    };
    match passed {
        ..LEAST => Measured::TooEarly,
        LEAST..MOST => Measured::Pace(ticks.saturating_mul(UNIT) / passed),
        MOST.. => Measured::Nothing,
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How many ticks come in a time at least: fewer than the pace says, as it is not quite even.
fn surely(nanoseconds: u64, pace: u64) -> u64 {
    nanoseconds * pace.min(FASTEST) / UNIT / 16 * 15
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(ticks: u64, system: u64, steady: Instant) -> Moment {
        Moment { ticks, system: UNIX_EPOCH + Duration::from_nanos(system), steady }
    }

    fn pace(begun: Moment, ended: Moment) -> Option<u64> {
        match measure(begun, ended) {
            Measured::Pace(pace) => Some(pace),
            Measured::TooEarly | Measured::Nothing => None,
        }
    }

    /// Fails if a time is told that the system's clock never showed between two looks at it.
    #[test]
    fn it_says_what_the_system_says() {
        let system = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::try_from(now.as_millis()).unwrap()
        };
        let begun = Instant::now();
        let mut known = 0;
        while begun.elapsed() < Duration::from_millis(300) {
            let (from, told, to) = (system(), unix_ms(), system());
            assert!(from <= told && told <= to, "{told} between {from} and {to}");
            known += u32::from(KNOWN.get().to > KNOWN.get().from);
        }
        let counts = ticks().is_some();
        assert_eq!(known > 1000, counts, "{known} times, with ticks: {counts}");
    }

    #[test]
    fn a_pace_is_what_both_clocks_admit() {
        let zero = Instant::now();
        let after = |ms| zero + Duration::from_millis(ms);
        let (begun, wall) = (moment(7, 0, zero), 20 * MILLISECOND);
        let ticks = 3 * 20 * MILLISECOND + 7;
        assert_eq!(pace(begun, moment(ticks, wall, after(20))), Some(3 * UNIT));
        // The system's clock was put back meanwhile; the machine slept; ticks began anew.
        assert_eq!(pace(begun, moment(ticks, 0, after(20))), Some(3 * UNIT));
        assert_eq!(pace(begun, moment(ticks, wall, after(1))), Some(3 * UNIT));
        assert_eq!(pace(begun, moment(6, wall, after(20))), None);
        // Too short and too long a time.
        assert_eq!(pace(begun, moment(ticks, LEAST - 1, after(9))), None);
        assert_eq!(pace(begun, moment(ticks, MOST, after(20))), None);
    }

    #[test]
    fn the_end_of_a_millisecond_is_not_told_too_late() {
        assert_eq!(surely(MILLISECOND, 3 * UNIT), 3 * MILLISECOND / 16 * 15);
        assert_eq!(surely(MILLISECOND, 0), 0);
        assert_eq!(surely(MILLISECOND, u64::MAX), 8 * MILLISECOND / 16 * 15);
    }
}
