//! Replays the committed inputs, and writes them anew when asked to.
//!
//! Inputs on which a target once failed lie in the corpus too, and have a test of their own here
//! that says what was wrong.

use super::image::{self, Image, REPAIR, SKIP};
use crate::format::frame::Kind;
use crate::options::{AppendOptions, GroupReadOptions, Start, StreamOptions, Trim};
use crate::storage::disk::{Disk, NameKind, OpenMode};
use crate::storage::mem::MemDisk;
use crate::store::Store;
use crate::{EntryId, NewEntries};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Target = fn(&[u8]) -> bool;

const TARGETS: [(&str, Target); 5] = [
    ("frame", super::frame),
    ("segment", super::segment),
    ("journal", super::journal),
    ("id", super::id),
    ("ops", super::ops),
];

fn corpus(target: &str) -> PathBuf {
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

/// Small and the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn bytes(&mut self, len: u64) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

fn write(target: &str, number: usize, bytes: &[u8]) {
    fs::create_dir_all(corpus(target)).unwrap();
    fs::write(corpus(target).join(format!("seed-{number:02}")), bytes).unwrap();
}

#[test]
#[ignore = "writes the seeds of the corpora anew, after a change of the format"]
fn write_the_seeds() {
    let mut random = Random(0x5eed);
    write_ids();
    write_frames(&mut random);
    write_calls(&mut random);
    for number in 0..24 {
        let (segments, journal) = files_of_a_store(number, &mut random);
        let switches = [REPAIR, REPAIR | SKIP, 0, REPAIR | 4][number % 4];
        let spoil = number >= 8;
        for (target, mut files) in [("segment", segments), ("journal", journal)] {
            if spoil {
                spoil_some(&mut files, &mut random);
            }
            write(target, number, &image::write(switches, &files));
        }
    }
}

fn write_ids() {
    let texts = [
        "0-0",
        "1-1",
        "0",
        "18446744073709551615-18446744073709551615",
        "00012-0003",
        "5-*",
        "*",
        "1526919030474-55",
        "18446744073709551616-0",
        "1-",
        "-1",
        "--",
        "1-2-3",
        "+1-1",
        " 1-1",
        "1-1 ",
        "",
        "99999999999999999999",
        "7-18446744073709551615",
        "007",
        "1234567890123",
        "9-9",
        "10-01",
        "\u{661}-1",
        "0x1-1",
        "1_000-1",
        "4294967296-4294967296",
        "1-0",
        "0-1",
        "42",
        "3-4",
    ];
    for (number, text) in texts.into_iter().enumerate() {
        write("id", number, text.as_bytes());
    }
    write("id", texts.len(), &[b'1'; 127]);
    write("id", texts.len() + 1, &[b'0'; 127]);
    write("id", texts.len() + 2, &[b'0'; 128]);
}

fn write_frames(random: &mut Random) {
    let mut number = 0;
    // Every kind, as it is written.
    let (segments, journal) = files_of_a_store(1, random);
    for (_, bytes) in segments.iter().chain(&journal) {
        let mut seen = Vec::new();
        let mut at = crate::format::header::FILE_HEADER;
        while at + 13 <= bytes.len() && number < 36 {
            let size = crate::format::u32_at(bytes, at + 8);
            let flags = bytes[at + 12];
            let header = if flags & 1 != 0 { 37 } else { 13 };
            let body = size as usize & crate::format::frame::MAX_BODY;
            if size == 0 {
                break;
            }
            if !seen.contains(&(size >> 28, flags)) && body < 400 {
                seen.push((size >> 28, flags));
                let kind = u8::try_from(size >> 28).unwrap() - Kind::Begin as u8;
                let mut out = vec![6, 16, 0, kind, flags, flags & 1];
                out.extend(&bytes[at + 13..at + header + body]);
                write("frame", number, &out);
                number += 1;
            }
            at += (header + body).next_multiple_of(8);
        }
        // A trailer and a header, repaired and not.
        let mut header = vec![4, 0, 0];
        header.extend(&bytes[..crate::format::header::FILE_HEADER]);
        write("frame", number, &header);
        number += 1;
    }
    let mut footer = vec![3, 0, 0, 200, 1, 3, 5, 7, 9, 0, 0, 1, 5, 0, 128, 1, 0];
    footer.extend([0; 32]);
    write("frame", number, &footer);
    for n in 0..12 {
        let kind = random.below(7) as u8;
        let mut out = vec![if n % 3 == 0 { 0 } else { 6 }, 1, 0, kind, 0, 0];
        let len = random.below(60);
        out.extend(random.bytes(len));
        write("frame", number + 1 + n, &out);
    }
}

fn write_calls(random: &mut Random) {
    for number in 0..32 {
        let mut out = vec![random.next() as u8, 0, 1, 2, 3, 200];
        // Groups from the beginning on, so that there is something to read.
        out.extend([10, 0, 0, 10, 1, 0]);
        let len = 40 + random.below(400);
        out.extend(random.bytes(len));
        write("ops", number, &out);
    }
}

/// The segments of stream 1 and the state journal of a store in which a little has happened.
fn files_of_a_store(number: usize, random: &mut Random) -> (Vec<Image>, Vec<Image>) {
    let disk = Arc::new(MemDisk::new());
    let stream = StreamOptions::new()
        .segment_bytes(4096)
        .max_entry_bytes(1000)
        .block_entries([100, 3][number % 2]);
    let options = Store::options().stream_defaults(stream);
    let shared = Arc::clone(&disk) as Arc<dyn Disk>;
    let store = Store::open_on(shared, Path::new("/store"), &options).unwrap();
    let stream = store.stream("s").unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    let (a, b) = (group.consumer("a").unwrap(), group.consumer("b").unwrap());
    for n in 0..6 + random.below(30) {
        let fields = [("field", random.bytes(random.0 % 90))];
        let mut append = AppendOptions::new().id(EntryId::new(5 + n, 0));
        match random.below(6) {
            0 => append = append.trim(Trim::max_len(10)),
            1 => {
                let mut batch = NewEntries::new();
                for m in 0..random.below(6) {
                    let id = EntryId::new(5 + n, 1 + m);
                    batch.push_with(id, [("m", m.to_string())]).unwrap();
                }
                stream.append_with(fields.clone(), append).unwrap();
                stream.append_batch(&batch).unwrap();
                continue;
            }
            2 => {
                let read = a.read(GroupReadOptions::new().count(3)).unwrap();
                group.ack(read.ids().take(1)).unwrap();
            }
            3 => drop(b.auto_claim(EntryId::MIN, std::time::Duration::ZERO, 2)),
            4 => store.step_sync().unwrap(),
            _ => store.step_prepare().unwrap(),
        }
        stream.append_with(fields.clone(), append).unwrap();
    }
    let first = stream.range(..).nth(2).unwrap().unwrap().id();
    stream.delete([first]).unwrap();
    if number.is_multiple_of(3) {
        store.step_checkpoint().unwrap();
    }
    if !number.is_multiple_of(5) {
        store.close().unwrap();
    } else {
        // As a killed process leaves it.
        std::mem::forget((store, stream, group, a, b));
    }
    (files_in(&disk, "/store/streams/1"), files_in(&disk, "/store/state"))
}

fn files_in(disk: &MemDisk, dir: &str) -> Vec<Image> {
    let mut files = Vec::new();
    for (name, kind) in disk.read_dir(Path::new(dir)).unwrap() {
        assert_eq!(kind, NameKind::File);
        let file = disk.open(&Path::new(dir).join(&name), OpenMode::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_at(&mut bytes, 0).unwrap();
        bytes.truncate(64 * 4096);
        let name = name.to_str().unwrap();
        let number: u64 = name.split('.').next().unwrap().parse().unwrap();
        files.push((u8::try_from(number).unwrap(), bytes));
    }
    files
}

/// Changes a few bytes among those that are not zero.
fn spoil_some(files: &mut [Image], random: &mut Random) {
    for (_, bytes) in files {
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
        for _ in 0..random.below(4) {
            let at = 128 + random.below(end.saturating_sub(127).max(1) as u64) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
    }
}
