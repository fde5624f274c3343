//! The byte sweep: a store with each byte of each of its files damaged in every way, and what
//! opening and reading it gives.
//!
//! A fixture of about 100 KiB (three sealed segments and one that is not, a second stream, groups
//! with pending entries, deletions, a trim, a state journal with checkpoints and records, closed) is
//! harmed in one place at a time:
//! * every byte: each of its bits flipped, 0, 255, one more;
//! * every sector of 512 bytes: zeros, random bytes, traded with another one, the one of the same
//!   store some time before, the one of another store;
//! * every length that a file can be cut to; 1, 511 and 4,096 zeros or random bytes behind it;
//! * every file missing, under the next name too, a directory, a symbolic link, unreadable.
//!
//! Each case is opened and read with `OnDamage::Refuse` and with `OnDamage::Skip`, in both
//! directions, groups included. Without damage being skipped everything must be as it was, or be
//! refused or reported with the file (and the place in it). With damage being skipped everything
//! must be there but the damaged record; but for its block where there is no index, and for what
//! lies between two damaged places of one block. Never a wrong byte, a panic, an allocation larger
//! than the files of the state journal (256 KiB, which the heap disk allocates), or a minute without
//! an end.
//!
//! Where something is lost or refused, `Store::verify` must find it with damage skipped, and name the
//! file. Of a file that was cut short it may find nothing if the report tells of a torn tail there: a
//! power cut may have taken the end. Where the damaged file is missing, cut, longer, doubled or no
//! file, it may name another one of its directory, or that; where it cannot be opened, the error
//! does. One case in ten is opened for salvage besides: that must give what skipping gives, and
//! change no file.
//!
//! `cargo test --test byte_sweep` looks at a fixed slice of the cases. All of them:
//!
//! ```text
//! STREAMLOG_SWEEP=all cargo test --release --test byte_sweep
//! ```
//!
//! * `STREAMLOG_SWEEP=n`: every nth case, and more of those that are rare.
//!   `STREAMLOG_SWEEP_SEED`: which of the first n it begins with.
//! * `STREAMLOG_SWEEP_FILE=text`: of files whose path contains this.
//! * `STREAMLOG_SWEEP_SHARE=i/n`: the ith of n equal shares, counted from 0.
//! * `STREAMLOG_SWEEP_CASE=number`: one case, as a finding prints it.
//!
//! Seen to be found in the slice of a debug build, planted one at a time: the checksum of a body, of
//! a frame's header, of a file's header or of a footer not looked at; checksums that leave out the
//! offset, or the file; bad frames in front of the durable position taken for a torn tail; going on
//! behind damage within a block whose base is not known; no search behind damage, and one that does
//! not get on; lost records of the journal not missed; damage not reported; a panic where a frame is
//! longer than its file. Of headers and footers alone (`STREAMLOG_SWEEP=97`): an allocation by a
//! trailer's length before that is checked. By the whole: a journal file cut between two records,
//! and another store's STORE file believed. Not found: `COMMIT` ignored, as no batch of the fixture
//! lacks it; the trailer's own checksum, as the footer's comes behind it.
//!
//! It runs on the heap disk, so that a case takes less than a millisecond: what real files do is
//! for the tests in `damage`. The `LOCK` file does not exist there.
#![allow(dead_code, unused_imports, unreachable_pub)]
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]
#![allow(unsafe_code)] // A global allocator cannot be written without.

include!("ground/source.rs");

#[path = "byte_sweep/mod.rs"]
mod sweep;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: sweep::alloc::Counting = sweep::alloc::Counting;

fn main() -> ExitCode {
    sweep::run::main()
}
