//! The short notation in which tests say what reply they expect, and commands.
//!
//! | written | is |
//! |---|---|
//! | `word`, `"a word\x00\r\n"` | a bulk string |
//! | `:5`, `:10..200` | an integer, exactly or within bounds (both included) |
//! | `+OK` | a simple string |
//! | `-ERR …` | an error: at the outermost level the whole rest, within an array `-"ERR …"` |
//! | `nil` | a null bulk (RESP2) or null (RESP3) |
//! | `nil*` | a null array (RESP2) or null (RESP3) |
//! | `[a b]` | an array |
//! | `{k v}` | a map, or its flat array in RESP2 |
//! | `*`, `@` | anything; any entry ID |
//! | `...` | the rest of an array, whatever it is |

use crate::reply::Reply;

#[derive(Clone, Debug, PartialEq)]
enum Pattern {
    Any,
    Id,
    Rest,
    Null,
    NullArray,
    Int(i64, i64),
    Simple(String),
    Error(String),
    Bulk(Vec<u8>),
    Array(Vec<Pattern>),
    Map(Vec<Pattern>),
}

#[derive(Debug, PartialEq)]
enum Token {
    Open(u8),
    Close(u8),
    Quoted(Vec<u8>),
    Error(Vec<u8>),
    Word(String),
}

fn unescape(text: &[u8], at: &mut usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    *at += 1;
    while let Some(&b) = text.get(*at) {
        *at += 1;
        match b {
            b'"' => return bytes,
            b'\\' => {
                let escape = text[*at];
                *at += 1;
                bytes.push(match escape {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'x' => {
                        let digits = std::str::from_utf8(&text[*at..*at + 2]);
                        *at += 2;
                        let byte = digits.ok().and_then(|d| u8::from_str_radix(d, 16).ok());
                        byte.expect("two hex digits after \\x")
                    }
                    other => other,
                });
            }
            _ => bytes.push(b),
        }
    }
    panic!("a test's text has no closing quote: {}", String::from_utf8_lossy(text));
}

fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match bytes[at] {
            b' ' | b'\n' => at += 1,
            b @ (b'[' | b'{') => {
                found.push(Token::Open(b));
                at += 1;
            }
            b @ (b']' | b'}') => {
                found.push(Token::Close(b));
                at += 1;
            }
            b'"' => found.push(Token::Quoted(unescape(bytes, &mut at))),
            b'-' if bytes.get(at + 1) == Some(&b'"') => {
                at += 1;
                found.push(Token::Error(unescape(bytes, &mut at)));
            }
            _ => {
                let end = bytes[at..].iter().position(|b| b" \n[]{}".contains(b));
                let end = end.map_or(bytes.len(), |n| at + n);
                found.push(Token::Word(text[at..end].to_owned()));
                at = end;
            }
        }
    }
    found
}

fn word(word: &str) -> Pattern {
    let number = |digits: &str| digits.parse::<i64>().expect("a number in a test's text");
    match word {
        "*" => Pattern::Any,
        "@" => Pattern::Id,
        "..." => Pattern::Rest,
        "nil" => Pattern::Null,
        "nil*" => Pattern::NullArray,
        _ => match (word.split_at(1), word.split_once("..")) {
            ((":", _), Some((low, high))) => Pattern::Int(number(&low[1..]), number(high)),
            ((":", digits), None) => Pattern::Int(number(digits), number(digits)),
            (("+", text), _) => Pattern::Simple(text.to_owned()),
            _ => Pattern::Bulk(word.as_bytes().to_vec()),
        },
    }
}

fn list(tokens: &mut std::vec::IntoIter<Token>) -> Vec<Pattern> {
    let mut items = Vec::new();
    while let Some(token) = tokens.next() {
        items.push(match token {
            Token::Open(b'[') => Pattern::Array(list(tokens)),
            Token::Open(_) => Pattern::Map(list(tokens)),
            Token::Close(_) => break,
            Token::Quoted(bytes) => Pattern::Bulk(bytes),
            Token::Error(bytes) => Pattern::Error(String::from_utf8_lossy(&bytes).into_owned()),
            Token::Word(text) => word(&text),
        });
    }
    items
}

fn parse(text: &str) -> Pattern {
    if let Some(error) = text.strip_prefix('-').filter(|rest| !rest.starts_with('"')) {
        return Pattern::Error(error.to_owned());
    }
    let mut items = list(&mut tokens(text).into_iter());
    assert_eq!(items.len(), 1, "a test expects not one reply: {text}");
    items.remove(0)
}

fn is_id(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let parts = text.split_once('-');
    parts.is_some_and(|(ms, seq)| ms.parse::<u64>().is_ok() && seq.parse::<u64>().is_ok())
}

fn all_fit(patterns: &[Pattern], replies: &[&Reply]) -> bool {
    let (patterns, open) = match patterns.split_last() {
        Some((Pattern::Rest, before)) => (before, true),
        _ => (patterns, false),
    };
    let enough = patterns.len() == replies.len() || (open && patterns.len() < replies.len());
    enough && patterns.iter().zip(replies).all(|(pattern, reply)| fits(pattern, reply))
}

fn fits(pattern: &Pattern, reply: &Reply) -> bool {
    match (pattern, reply) {
        (Pattern::Any, _) => true,
        (Pattern::Id, Reply::Bulk(bytes)) => is_id(bytes),
        (Pattern::Null, Reply::Null | Reply::NullBulk) => true,
        (Pattern::NullArray, Reply::Null | Reply::NullArray) => true,
        (Pattern::Int(low, high), Reply::Int(n)) => low <= n && n <= high,
        (Pattern::Simple(text), Reply::Simple(got)) => text == got,
        (Pattern::Error(text), Reply::Error(got)) => text == got,
        (Pattern::Bulk(bytes), Reply::Bulk(got)) => bytes == got,
        (Pattern::Array(patterns) | Pattern::Map(patterns), Reply::Array(items)) => {
            all_fit(patterns, &items.iter().collect::<Vec<_>>())
        }
        (Pattern::Map(patterns), Reply::Map(pairs)) => {
            let flat: Vec<&Reply> = pairs.iter().flat_map(|(key, value)| [key, value]).collect();
            all_fit(patterns, &flat)
        }
        _ => false,
    }
}

/// Whether the reply is what the text says.
pub(crate) fn expect(reply: &Reply, text: &str) -> Result<(), String> {
    match fits(&parse(text), reply) {
        true => Ok(()),
        false => Err(format!("expected {text}, got {reply}")),
    }
}

/// The words of a command: between blanks, or quoted.
pub(crate) fn words(command: &str) -> Vec<Vec<u8>> {
    let bytes = command.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match bytes[at] {
            b' ' | b'\n' => at += 1,
            b'"' => found.push(unescape(bytes, &mut at)),
            _ => {
                let end = bytes[at..].iter().position(|b| b" \n".contains(b));
                let end = end.map_or(bytes.len(), |n| at + n);
                found.push(bytes[at..end].to_vec());
                at = end;
            }
        }
    }
    found
}

/// The harness's own test: a pattern that accepts everything would make all tests worthless.
pub(crate) fn self_test() -> Result<(), String> {
    let bulk = |text: &str| Reply::Bulk(text.as_bytes().to_vec());
    let entry = Reply::Array(vec![bulk("1-1"), Reply::Array(vec![bulk("f"), bulk("")])]);
    let map = Reply::Map(vec![(bulk("k"), Reply::Int(5))]);
    let flat = Reply::Array(vec![bulk("k"), Reply::Int(5)]);
    let (ok, error) = (Reply::Simple("OK".into()), Reply::Error("ERR no such key".into()));
    let fit: [(&Reply, &str); 14] = [
        (&entry, "[1-1 [f \"\"]]"),
        (&entry, "[@ [f ...]]"),
        (&entry, "[* *]"),
        (&map, "{k :5}"),
        (&flat, "{k :5}"),
        (&flat, "[k :4..6]"),
        (&ok, "+OK"),
        (&error, "-ERR no such key"),
        (&error, "-\"ERR no such key\""),
        (&Reply::NullBulk, "nil"),
        (&Reply::NullArray, "nil*"),
        (&Reply::Null, "nil"),
        (&Reply::Null, "nil*"),
        (&Reply::Bulk(b"-a\0".to_vec()), "\"-a\\x00\""),
    ];
    let unfit: [(&Reply, &str); 13] = [
        (&entry, "[1-1 [f x]]"),
        (&entry, "[1-1 [f \"\"] ... x]"),
        (&entry, "[1-1]"),
        (&map, "[k :5]"),
        (&flat, "{k :6}"),
        (&flat, "[k :6..7]"),
        (&ok, "OK"),
        (&ok, "nil"),
        (&error, "-ERR"),
        (&Reply::NullBulk, "nil*"),
        (&Reply::NullArray, "nil"),
        (&Reply::NullArray, "[]"),
        (&bulk("5"), ":5"),
    ];
    let good = fit.iter().find(|(reply, text)| !fits(&parse(text), reply));
    let bad = unfit.iter().find(|(reply, text)| fits(&parse(text), reply));
    match good.or(bad) {
        None => Ok(()),
        Some((reply, text)) => Err(format!("the pattern {text} is wrong about {reply}")),
    }
}
