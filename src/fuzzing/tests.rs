//! Replays the committed inputs.
//!
//! Inputs on which a target once failed lie in the corpus too, and have a test of their own here
//! that says what was wrong.

use super::{Form, STREAM, image, mutate, seeds};
use crate::format::frame::BLOCK;
use crate::format::header::{FILE_HEADER, FileKind};
use std::fs;
use std::path::{Path, PathBuf};

type Target = fn(&[u8]) -> bool;

const TARGETS: &[(&str, Target)] = &[
    ("frame", super::frame),
    ("segment", super::segment),
    ("journal", super::journal),
    ("id", super::id),
    ("ops", super::ops),
    ("resync", super::resync),
    ("index", super::index),
    ("manifest", super::manifest),
    ("events", super::events),
    ("checkpoint", super::checkpoint),
    #[cfg(feature = "resp")]
    ("resp", super::resp),
];

pub(super) fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn replay(target: &str) {
    let (_, body) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let mut inputs: Vec<PathBuf> =
        fs::read_dir(corpus(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 20, "only {} inputs", inputs.len());
    let past: Vec<bool> = inputs
        .iter()
        .map(|path| {
            let bytes = fs::read(path).unwrap();
            let done = std::panic::catch_unwind(|| body(&bytes));
            done.unwrap_or_else(|_| panic!("{} fails", path.display()))
        })
        .collect();
    let through = past.iter().filter(|past| **past).count();
    assert!(
        through * 2 >= inputs.len(),
        "{through} of {} inputs come past the checksums",
        inputs.len()
    );
}

#[test]
fn the_corpus_of_frames_decodes() {
    replay("frame");
}

#[test]
fn the_corpus_of_segments_recovers() {
    replay("segment");
}

#[test]
fn the_corpus_of_journals_opens() {
    replay("journal");
}

#[test]
fn the_corpus_of_ids_parses() {
    replay("id");
}

#[test]
fn the_corpus_of_calls_agrees_with_the_model() {
    replay("ops");
}

/// Calls of all kinds come often enough in what is drawn: with references left alone by DELREF, or
/// entries trimmed that are referenced, this fails.
#[test]
fn calls_that_are_drawn_agree_with_the_model() {
    let mut random = seeds::Random(0x0b5e_55ed);
    for _ in 0..60 {
        let bytes: Vec<u8> = (0..1000).map(|_| random.below(256) as u8).collect();
        super::ops(&bytes);
    }
}

/// A frame may pass its checksums and not follow from the one before: recovery walked over it, and
/// a reader that looked at frames one by one handed it out. Fails if the cursor does not step over
/// the holes that are known (`known_hole`, src/storage/damage.rs).
#[test]
fn a_frame_in_a_hole_is_read_by_nobody() {
    let mut hurt = 0;
    for number in 0..40 {
        let (mut files, _) = seeds::files_of_a_store(number, &mut seeds::Random(7 + number as u64));
        for (_, bytes) in &mut files {
            let mut blocks = Vec::new();
            let mut next = FILE_HEADER;
            while let Some(frame) = image::frame_at(bytes, next) {
                if bytes[frame.at + 12] & BLOCK != 0 {
                    blocks.push(frame.at);
                }
                next = frame.end;
            }
            // Neither the first block nor the last one: its ID and its number are too high.
            if let [_, hit, _, ..] = blocks[..] {
                bytes[hit + 13] = bytes[hit + 13].wrapping_add(100);
                bytes[hit + 29] = bytes[hit + 29].wrapping_add(30);
                hurt += 1;
            }
        }
        image::repair(&mut files, FileKind::Segment, STREAM, image::Leave::default());
        let input = image::Files { switches: image::SKIP, number: 0, files };
        super::segment(&image::write(&input));
    }
    assert!(hurt > 10);
}

#[test]
fn the_corpus_of_segments_is_scanned_over_damage() {
    replay("resync");
}

#[test]
fn the_corpus_of_footers_leads_to_what_is_there() {
    replay("index");
}

#[test]
fn the_corpus_of_headers_is_read_or_refused() {
    replay("manifest");
}

#[test]
fn the_corpus_of_records_is_applied() {
    replay("events");
}

#[test]
fn the_corpus_of_checkpoints_is_written_again() {
    replay("checkpoint");
}

#[test]
#[cfg(feature = "resp")]
fn the_corpus_of_requests_is_read_and_run() {
    replay("resp");
}

/// Of inputs that were changed as the fuzzers change them, enough come past the checksums, and some
/// do not: a mutator that puts nothing right would let none through, one that puts everything right
/// would never show damage.
#[test]
fn half_of_all_changes_come_past_the_checksums() {
    let forms = [
        ("frame", Form::Frame),
        ("segment", Form::Segments(4)),
        ("resync", Form::Segments(1)),
        ("journal", Form::Journal(3)),
        ("events", Form::Journal(1)),
        ("checkpoint", Form::Journal(3)),
        ("index", Form::Switch),
        ("manifest", Form::Switch),
    ];
    for (target, form) in forms {
        let (_, body) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
        let (mut changed, mut past) = (0, 0);
        for n in 0..60 {
            let file = corpus(target).join(format!("seed-{:02}", n % 20));
            let seed = fs::read(file).unwrap();
            let max = seed.len() + 200;
            let mut data = seed.clone();
            data.resize(max, 0);
            let dice = u32::try_from(n).unwrap().wrapping_mul(0x9e37_79b9);
            // A byte of the whole, or of the frame that is to be changed.
            let mut change = |data: &mut [u8], size: usize, _: usize| {
                if let Some(byte) = data[..size].get_mut(dice as usize % size.max(1)) {
                    *byte ^= 1 << (dice >> 29);
                }
                size
            };
            let size = mutate(form, &mut data, seed.len(), max, dice >> 3, &mut change);
            changed += u32::from(data[..size] != seed);
            past += u32::from(body(&data[..size]));
        }
        println!("{target}: {changed} changed, {past} past the checksums");
        assert!(changed > 50, "{target}: {changed} of 60 changed");
        assert!((15..60).contains(&past), "{target}: {past} of 60 come past the checksums");
    }
}
