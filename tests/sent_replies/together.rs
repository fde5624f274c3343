//! XADD commands in a row beside the same commands one by one, where something goes wrong: the
//! replies, and what the store shows, have to be the same.

use super::view::{self, View};
use crate::resp::config::Config;
use crate::resp::engine::Engine;
use crate::sim::disk::{Faults, SimDisk, World};
use crate::{Durability, Store, StoreOptions, StreamOptions};
use std::path::Path;
use std::sync::Arc;

/// What was answered, which stream has which number, and what is in them as far as it can be read.
type Seen = (String, Vec<(u64, Vec<u8>)>, Option<View>);

/// Commands on a stream that is there (`s`) or not (`t`), on a store where each waits for the disk.
fn run(commands: &[String], sync_in: Option<u64>, together: bool) -> crate::Result<Seen> {
    let world = World { seed: 1, write_back: 0, sync_all: true, now_ms: 1_700_000_000_000 };
    let disk = SimDisk::empty(world);
    let small = StreamOptions::new().segment_bytes(4096).max_entry_bytes(1000);
    let options = StoreOptions::default().durability(Durability::Always).stream_defaults(small);
    let store = Store::open_on(Arc::new(disk.clone()), Path::new("/store"), &options)?;
    let mut engine = Engine::new(store, None, Config::default());
    let client = engine.connect(String::new(), String::new());
    engine.execute(client, &[b"XADD", b"s", b"9999999999999-0", b"f", b"v"]);
    disk.set_faults(Faults { sync_in, space_in: None });
    let (mut words, mut ends) = (Vec::new(), Vec::new());
    for command in commands {
        words.extend(command.split(' ').map(str::as_bytes));
        ends.push(words.len());
    }
    if together {
        engine.execute_adds(client, &words, &ends);
    } else {
        ends.iter().fold(0, |begin, end| {
            engine.execute(client, &words[begin..*end]);
            *end
        });
    }
    disk.set_faults(Faults::default());
    let out = &engine.clients.get(client).unwrap().out;
    let replies = String::from_utf8_lossy(out.bytes()).into_owned();
    let mut numbers = Vec::new();
    for name in engine.store.names() {
        if let Some(stream) = engine.store.get(&name)? {
            numbers.push((stream.inner().number, name));
        }
    }
    Ok((replies, numbers, view::look(&engine.store).ok()))
}

pub fn check() -> Result<(), String> {
    let adds = |key: &str, sizes: &[usize]| -> Vec<String> {
        sizes.iter().map(|size| format!("XADD {key} * f {}", "x".repeat(*size))).collect()
    };
    // Of how many syncs the next one fails, counted from none.
    let all: [(&str, Vec<String>, Option<u64>); 8] = [
        ("all goes well", adds("s", &[1, 2, 3]), None),
        ("one is too large", adds("t", &[1, 2000, 3]), None),
        ("they take more than a segment", adds("t", &[300; 16]), None),
        ("their sync fails", adds("s", &[1, 2, 3]), Some(0)),
        ("a sync for a new stream fails", adds("t", &[1, 2, 3]), Some(0)),
        ("the next one for it fails", adds("t", &[1, 2, 3]), Some(1)),
        ("the one behind that fails", adds("t", &[1, 2, 3]), Some(2)),
        ("the fourth for it fails", adds("t", &[1, 2, 3]), Some(3)),
    ];
    for (what, commands, sync_in) in all {
        let [together, apart] = [true, false]
            .map(|together| run(&commands, sync_in, together).map_err(|e| format!("{what}: {e}")));
        let (together, apart) = (together?, apart?);
        let fails = together.0.contains("\r\n-");
        if fails != (sync_in.is_some() || commands.iter().any(|command| command.len() > 1000)) {
            return Err(format!("{what}: nothing does, or something else: {}", together.0));
        }
        if together != apart {
            return Err(format!("{what}: together {together:?}, one by one {apart:?}"));
        }
    }
    Ok(())
}
