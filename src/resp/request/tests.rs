//! The parser against texts that are known, in one piece and byte by byte.

use super::*;

const LIMITS: Limits = Limits { words: 1000, bulk: 1 << 20, stranger: false };

/// What a client that sends all this is understood to say.
fn read(input: &[u8], limits: &Limits, piece: usize) -> Vec<Result<Vec<Vec<u8>>, String>> {
    let (mut parser, mut found) = (Parser::default(), Vec::new());
    let (mut start, mut end) = (0, 0);
    loop {
        match parser.step(&input[start..end], limits) {
            Step::More if end == input.len() => return found,
            Step::More => end = (end + piece).min(input.len()),
            Step::Bad(refusal) => {
                found.push(Err(refusal.0.into_owned()));
                return found;
            }
            step => {
                if step == Step::Request {
                    let mut words = Vec::new();
                    parser.words(&input[start..end], &mut words);
                    found.push(Ok(words.iter().map(|word| word.to_vec()).collect()));
                }
                start += parser.done();
            }
        }
    }
}

fn understood(input: &[u8]) -> Vec<Result<Vec<Vec<u8>>, String>> {
    let whole = read(input, &LIMITS, usize::MAX >> 1);
    assert_eq!(whole, read(input, &LIMITS, 1), "byte by byte it is another request");
    whole
}

fn words(list: &[&[u8]]) -> Result<Vec<Vec<u8>>, String> {
    Ok(list.iter().map(|word| word.to_vec()).collect())
}

fn error(input: &[u8]) -> String {
    understood(input).pop().unwrap().unwrap_err()
}

#[test]
fn requests_in_a_row() {
    let input =
        b"*2\r\n$4\r\nECHO\r\n$3\r\na\r\n\r\n*1\r\n$4\r\nPING\r\n\r\nPING x\n*0\r\n*-1\r\nQ\r\n";
    let all =
        [words(&[b"ECHO", b"a\r\n"]), words(&[b"PING"]), words(&[b"PING", b"x"]), words(&[b"Q"])];
    assert_eq!(understood(input), all);
}

#[test]
fn plain_lines_have_redis_quotes() {
    let line = b"SET \"a \\x41\\n\\q\" 'it\\'s \\n' \"\"  x\"y\" \t \r\n";
    let all: &[&[u8]] = &[b"SET", b"a A\nq", b"it's \\n", b"", b"xy"];
    assert_eq!(understood(line), [words(all)]);
    for bad in [&b"GET \"a\n"[..], b"GET 'a\n", b"GET \"a\"b\n", b"GET 'a'b\n"] {
        assert_eq!(error(bad), "ERR Protocol error: unbalanced quotes in request");
    }
}

#[test]
fn what_is_no_request_is_told() {
    for bad in [&b"*x\r\n"[..], b"*99999999999\r\n", b"*1001\r\n", b"*007\r\n", b"*\r\n"] {
        assert_eq!(error(bad), "ERR Protocol error: invalid multibulk length");
    }
    for bad in [&b"*1\r\n$-1\r\n"[..], b"*1\r\n$x\r\n", b"*1\r\n$1048577\r\n", b"*1\r\n$\r\n"] {
        assert_eq!(error(bad), "ERR Protocol error: invalid bulk length");
    }
    assert_eq!(error(b"*1\r\n:1\r\n"), "ERR Protocol error: expected '$', got ':'");
}

#[test]
fn lines_have_an_end() {
    let long = vec![b'1'; LONGEST_LINE + 2];
    let with = |front: &[u8]| [front, &long].concat();
    assert_eq!(error(&with(b"")), "ERR Protocol error: too big inline request");
    assert_eq!(error(&with(b"*")), "ERR Protocol error: too big mbulk count string");
    assert_eq!(error(&with(b"*1\r\n$")), "ERR Protocol error: too big bulk count string");
}

#[test]
fn little_is_taken_from_a_stranger() {
    let stranger = Limits { stranger: true, ..LIMITS };
    let told = |input: &[u8]| read(input, &stranger, 7).pop().unwrap().unwrap_err();
    assert_eq!(told(b"*11\r\n"), "ERR Protocol error: unauthenticated multibulk length");
    assert_eq!(told(b"*1\r\n$16385\r\n"), "ERR Protocol error: unauthenticated bulk length");
    assert_eq!(read(b"*1\r\n$4\r\nPING\r\n", &stranger, 3), [words(&[b"PING"])]);
}

#[test]
fn integers_are_strict() {
    let all = ["0", "-1", "9223372036854775807", "-9223372036854775808", "10"];
    for text in all {
        assert_eq!(integer(text.as_bytes()).unwrap().to_string(), text);
    }
    let none = ["", "-", "+1", "01", "-0", " 1", "1 ", "1.0", "9223372036854775808", "1e3", "--1"];
    for text in none {
        assert_eq!(integer(text.as_bytes()), None, "{text}");
    }
}
