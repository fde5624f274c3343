//! What a client may send: read as requests in whatever pieces it comes, and run.

use super::Input;
use crate::resp::config::Config;
use crate::resp::engine::{End, Engine};
use crate::resp::request::{Limits, Parser, Step, integer};
use crate::store::Store;

const STRANGER: u8 = 1;
const RUN: u8 = 2;
const RESP3: u8 = 4;

type Words = Vec<Vec<u8>>;

/// Reads bytes as a client's requests, and runs them behind another switch. Returns whether there
/// was at least one and nothing that is no request.
pub fn resp(data: &[u8]) -> bool {
    let mut input = Input(data);
    let switches = input.byte();
    let piece = usize::from(input.byte()).max(1);
    let limits = Limits { words: 64, bulk: 4096, stranger: switches & STRANGER != 0 };
    let (whole, good) = read(input.0, &limits, input.0.len().max(1));
    assert_eq!((&whole, good), {
        let (pieces, good) = read(input.0, &limits, piece);
        assert_eq!(pieces, whole);
        (&whole, good)
    });
    // What was understood is understood again when it is said in the usual form.
    let again: Vec<u8> = whole.iter().flat_map(written).collect();
    let wide = Limits { words: usize::MAX, bulk: usize::MAX, stranger: false };
    assert_eq!(read(&again, &wide, piece), (whole.clone(), true));
    if switches & RUN != 0 {
        run(&whole, if switches & RESP3 != 0 { 3 } else { 2 });
    }
    good && !whole.is_empty()
}

fn written(words: &Words) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The requests in the order in which they came, and whether nothing else did.
fn read(input: &[u8], limits: &Limits, piece: usize) -> (Vec<Words>, bool) {
    let (mut parser, mut found) = (Parser::default(), Vec::new());
    let (mut start, mut end) = (0, 0);
    loop {
        match parser.step(&input[start..end], limits) {
            Step::More if end == input.len() => return (found, true),
            Step::More => end = end.saturating_add(piece).min(input.len()),
            Step::Bad(refusal) => {
                assert!(refusal.0.starts_with("ERR Protocol error: "), "{}", refusal.0);
                return (found, false);
            }
            step => {
                if step == Step::Request {
                    let mut words = Vec::new();
                    parser.words(&input[start..end], &mut words);
                    assert!(!words.is_empty());
                    assert!(words.len() <= limits.words || input[start] != b'*');
                    found.push(words.iter().map(|word| word.to_vec()).collect());
                }
                let taken = parser.done();
                assert!(taken > 0 && start + taken <= end);
                start += taken;
            }
        }
    }
}

/// Runs requests; what is replied has to be replies, whatever they were.
fn run(requests: &[Words], proto: u8) {
    let mut config = Config::default();
    config.output_limit = 1 << 20;
    let mut engine = Engine::new(Store::in_memory().unwrap(), None, config);
    let place = engine.connect(String::new(), String::new());
    engine.clients.get_mut(place).unwrap().out.set_proto(proto);
    for words in requests {
        let args: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        engine.execute(place, &args);
        engine.end_wait(place, End::TimedOut);
        let client = engine.clients.get_mut(place).unwrap();
        if client.dead {
            return;
        }
        assert!(!client.blocked);
        let mut rest = client.out.bytes();
        while !rest.is_empty() {
            rest = reply(rest, 0).expect("a reply that is none");
        }
        let sent = client.out.len();
        client.out.sent(sent);
    }
}

/// Takes one reply off the front.
fn reply(bytes: &[u8], depth: usize) -> Option<&[u8]> {
    assert!(depth < 16);
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let (kind, line) = bytes[..end].split_first()?;
    let rest = &bytes[end + 2..];
    let count = || integer(line).and_then(|count| usize::try_from(count).ok());
    let parts = match kind {
        b'+' | b'-' => return Some(rest),
        b'_' => return line.is_empty().then_some(rest),
        b':' => return integer(line).map(|_| rest),
        b'$' | b'*' if line == b"-1" => return Some(rest),
        b'$' | b'=' => {
            let (word, rest) = rest.split_at_checked(count()? + 2)?;
            return word.ends_with(b"\r\n").then_some(rest);
        }
        b'*' | b'~' => count()?,
        b'%' => count()? * 2,
        _ => return None,
    };
    (0..parts).try_fold(rest, |rest, _| reply(rest, depth + 1))
}

/// Inputs to begin with.
#[cfg(test)]
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let scripts: [&[&str]; 12] = [
        &["PING", "ECHO x", "TIME", "COMMAND COUNT", "DBSIZE"],
        &["XADD s 1-1 f v", "XADD s * f v g w", "XRANGE s - + COUNT 1", "XLEN s"],
        &["MULTI", "XADD s 1-1 f v", "XREAD BLOCK 0 STREAMS s 0", "EXEC"],
        &["XGROUP CREATE s g $ MKSTREAM", "XREADGROUP GROUP g c BLOCK 1 STREAMS s >"],
        &[
            "XADD s 1-1 f v",
            "XGROUP CREATE s g 0",
            "XREADGROUP GROUP g c STREAMS s >",
            "XPENDING s g",
        ],
        &["HELLO 3", "CLIENT LIST", "INFO everything", "CONFIG GET *", "RESET"],
        &["WATCH s", "MULTI", "NOSUCH", "EXEC", "DISCARD", "UNWATCH"],
        &["XADD s 1-1 f v", "COPY s t DB 3", "RENAME s t", "SELECT 3", "KEYS *", "SCAN 0 COUNT 1"],
        &["CLIENT REPLY SKIP", "PING", "CLIENT REPLY OFF", "PING", "CLIENT REPLY ON"],
        &[
            "XADD s 1-1 f v",
            "XINFO STREAM s FULL",
            "XTRIM s MAXLEN 0",
            "XDEL s 1-1",
            "XINFO GROUPS s",
        ],
        &["XREAD BLOCK 0 STREAMS s t $ $", "DEL s t", "FLUSHALL", "SWAPDB 0 1"],
        &["AUTH x", "CONFIG SET stream-node-max-entries 1", "QUIT", "OBJECT ENCODING s"],
    ];
    let mut all = Vec::new();
    for (n, script) in scripts.iter().enumerate() {
        let words = |line: &&str| line.split(' ').map(|w| w.as_bytes().to_vec()).collect::<Words>();
        let formal: Vec<u8> = script.iter().flat_map(|line| written(&words(line))).collect();
        let plain = script.join("\r\n") + "\r\n";
        let switches = RUN | (n as u8 & RESP3);
        all.push([&[switches, 7][..], &formal].concat());
        all.push([&[switches ^ RESP3, 1][..], plain.as_bytes()].concat());
    }
    for bad in ["*x\r\n", "*1\r\n$-5\r\n", "GET \"a\\x00\" 'b\\''\r\n*0\r\n\r\nPING \"x\r\n"] {
        all.push([&[RUN, 3][..], bad.as_bytes()].concat());
    }
    all
}
