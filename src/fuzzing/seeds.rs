//! Writes the seeds of the corpora, which a change of the format makes useless.

use super::disk::FixedDisk;
use super::image::{self, Files, Image, REPAIR, SKIP};
use super::index::Template;
use super::recovery::{DIR, store_options};
use super::tests::corpus;
use crate::format::footer::{Footer, TRAILER};
use crate::format::frame::Kind;
use crate::format::{u32_at, u64_at};
use crate::options::{AppendOptions, GroupReadOptions, Start, StreamOptions, Trim};
use crate::storage::disk::{Disk, NameKind};
use crate::store::Store;
use crate::{EntryId, NewEntries};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Small and the same every time.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn bytes(&mut self, len: u64) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

#[test]
#[cfg(feature = "resp")]
#[ignore = "writes the seeds of one corpus anew"]
fn write_the_seeds_of_requests() {
    super::resp::seeds().iter().enumerate().for_each(|(n, seed)| write("resp", n, seed));
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
    write_crashes(&mut random);
    write_footers(&mut random);
    write_headers(&mut random);
    for number in 0..24 {
        let (segments, journal) = files_of_a_store(number, &mut random);
        let switches = [REPAIR, REPAIR | SKIP, 0, REPAIR | 4][number % 4];
        let one = segments[number % segments.len()].clone();
        // The newest file is that with the highest turn.
        let newest = journal.iter().max_by_key(|(_, bytes)| u64_at(bytes, 40)).cloned();
        for (target, mut files) in [
            ("segment", segments),
            ("journal", journal.clone()),
            ("checkpoint", journal),
            ("resync", vec![one]),
            ("events", newest.into_iter().collect()),
        ] {
            if number >= 8 {
                spoil_some(&mut files, &mut random);
            }
            // For the target that skips: up to anywhere in the segment.
            let below = random.below(300) as u16;
            write(target, number, &image::write(&Files { switches, number: below, files }));
        }
    }
}

/// The footer that is there, and others.
fn write_footers(random: &mut Random) {
    let (_, bytes) = &Template::get().segments[0];
    let body = bytes[image::footer_of(bytes).unwrap()].to_vec();
    let trailer = &bytes[bytes.len() - TRAILER..];
    let seed = crate::format::header::FileHeader::decode(bytes).unwrap().seed();
    write("index", 0, &[&[0][..], &body, trailer].concat());
    for number in 1..24 {
        let mut footer = Footer::decode(&body, seed, u32_at(trailer, 16)).unwrap();
        let count = footer.index.len() as u64;
        match number % 6 {
            0 => footer.end -= 8 * random.below(9),
            1 => footer.entries += random.below(9),
            2 => drop(footer.index.remove(random.below(count) as usize)),
            3 => footer.index[random.below(count) as usize].offset += 8,
            4 => footer.last_id.ms += random.below(90),
            _ => footer.trimmed = EntryId::new(random.below(30), 0),
        }
        let switches = [REPAIR, REPAIR | SKIP][number % 2];
        let (mut body, _) = footer.encode(seed, 0);
        if number > 18 {
            let at = random.below(body.len() as u64) as usize;
            body[at] = random.next() as u8;
        }
        write("index", number, &[&[switches][..], &body].concat());
    }
}

/// Changes of one field of one header each.
fn write_headers(random: &mut Random) {
    const FIELDS: [(u8, u8); 10] =
        [(8, 2), (10, 2), (12, 4), (16, 16), (32, 8), (40, 8), (48, 4), (56, 8), (64, 8), (100, 4)];
    for number in 0..36 {
        let (offset, len) = FIELDS[number % FIELDS.len()];
        let switches = [REPAIR, REPAIR | 8, 0, REPAIR | SKIP][number / FIELDS.len() % 4];
        let mut out = vec![switches, random.below(6) as u8, offset, len];
        let small = u64::from(random.bytes(1)[0] % 3).to_le_bytes();
        let bytes = if number % 2 == 0 { random.bytes(len.into()) } else { small.repeat(2) };
        out.extend(&bytes[..usize::from(len)]);
        write("manifest", number, &out);
    }
    write("manifest", 36, &[0]);
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

/// For the target of the power-loss simulator: configuration, seed, moments, operations.
fn write_crashes(random: &mut Random) {
    for number in 0..32 {
        let mut out = random.bytes(7);
        let cuts = 1 + random.below(8);
        out.push(cuts as u8);
        let ops = 10 + random.below(40);
        out.extend(random.bytes(2 * (cuts + ops)));
        write("crash_ops", number, &out);
    }
}

/// The segments of stream 1 and the state journal of a store in which a little has happened.
pub(super) fn files_of_a_store(number: usize, random: &mut Random) -> (Vec<Image>, Vec<Image>) {
    let disk = FixedDisk::new();
    let stream = StreamOptions::new()
        .segment_bytes(4096)
        .max_entry_bytes(1000)
        .block_entries([100, 3][number % 2]);
    let options = store_options().stream_defaults(stream);
    let shared = Arc::clone(&disk) as Arc<dyn Disk>;
    let store = Store::open_on(shared, Path::new(DIR), &options).unwrap();
    let stream = store.stream("s").unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    let (a, b) = (group.consumer("a").unwrap(), group.consumer("b").unwrap());
    for n in 0..6 + random.below(30) {
        let fields = [("field", random.bytes(random.0 % 90))];
        let mut append = AppendOptions::new().id(EntryId::new(5 + n, 0));
        match random.below(7) {
            0 => append = append.trim(Trim::max_len(10)),
            2 => append = append.idempotent("p", [n as u8 % 16]),
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
            3 => {
                let read = a.read(GroupReadOptions::new().count(3)).unwrap();
                group.ack(read.ids().take(1)).unwrap();
            }
            4 => drop(b.auto_claim(EntryId::MIN, std::time::Duration::ZERO, 2)),
            5 => store.step_sync().unwrap(),
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

fn files_in(disk: &FixedDisk, dir: &str) -> Vec<Image> {
    let mut files = Vec::new();
    for (name, kind) in disk.read_dir(Path::new(dir)).unwrap() {
        assert_eq!(kind, NameKind::File);
        let mut bytes = disk.bytes_of(&Path::new(dir).join(&name));
        bytes.truncate(image::MOST_PAGES * 4096);
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
