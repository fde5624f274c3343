//! A reply as it came over the wire, RESP2 or RESP3, and what the tests ask of one.

use std::fmt;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Simple(String),
    Error(String),
    Int(i64),
    Bulk(Vec<u8>),
    /// `$-1` of RESP2.
    NullBulk,
    /// `*-1` of RESP2.
    NullArray,
    /// `_` of RESP3.
    Null,
    Array(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
    /// `=15`, `txt:…` of RESP3: the format, the text.
    Verbatim(String, Vec<u8>),
    /// `#t`, `,1.5`, `(…` of RESP3, as they stand.
    Other(String),
}

impl Reply {
    pub(crate) fn items(&self) -> Result<&[Reply], String> {
        match self {
            Reply::Array(items) => Ok(items),
            other => Err(format!("{other} is no array")),
        }
    }

    /// Element `n` of an array.
    pub(crate) fn at(&self, n: usize) -> Result<&Reply, String> {
        self.items()?.get(n).ok_or_else(|| format!("{self} has no element {n}"))
    }

    /// Along several arrays: `path(&[0, 1, 0])` is the first entry of the first stream of XREAD.
    pub(crate) fn path(&self, places: &[usize]) -> Result<&Reply, String> {
        places.iter().try_fold(self, |reply, n| reply.at(*n))
    }

    /// The value of this name in a map, or in the flat array that is a map in RESP2.
    pub(crate) fn get(&self, name: &str) -> Result<&Reply, String> {
        let found = match self {
            Reply::Map(pairs) => pairs.iter().find(|(key, _)| key.is_text(name)).map(|(_, v)| v),
            Reply::Array(items) => {
                items.chunks_exact(2).find(|pair| pair[0].is_text(name)).map(|pair| &pair[1])
            }
            _ => None,
        };
        found.ok_or_else(|| format!("there is no {name} in {self}"))
    }

    /// `groups.0.pending.1` of XINFO STREAM FULL: names of maps and numbers of elements.
    pub(crate) fn deep(&self, path: &str) -> Result<&Reply, String> {
        path.split('.').try_fold(self, |reply, step| match step.parse::<usize>() {
            Ok(n) => reply.at(n),
            Err(_) => reply.get(step),
        })
    }

    pub(crate) fn int(&self) -> Result<i64, String> {
        match self {
            Reply::Int(n) => Ok(*n),
            other => Err(format!("{other} is no integer")),
        }
    }

    pub(crate) fn bytes(&self) -> Result<&[u8], String> {
        match self {
            Reply::Bulk(bytes) | Reply::Verbatim(_, bytes) => Ok(bytes),
            other => Err(format!("{other} is no bulk string")),
        }
    }

    pub(crate) fn text(&self) -> Result<String, String> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    fn is_text(&self, text: &str) -> bool {
        match self {
            Reply::Bulk(bytes) => bytes == text.as_bytes(),
            Reply::Simple(simple) => simple == text,
            _ => false,
        }
    }
}

fn write_bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let plain = |b: &u8| b.is_ascii_graphic() && !b"[]{}\"\\".contains(b);
    let special = |b: &u8| b":+-*@".contains(b);
    let ambiguous = bytes.first().is_none_or(special) || bytes == b"nil" || bytes == b"...";
    if !ambiguous && bytes.iter().all(plain) {
        return f.write_str(&String::from_utf8_lossy(bytes));
    }
    f.write_str("\"")?;
    for &b in bytes.iter().take(300) {
        match b {
            b'"' | b'\\' => write!(f, "\\{}", b as char)?,
            b' '..=b'~' => write!(f, "{}", b as char)?,
            _ => write!(f, "\\x{b:02x}")?,
        }
    }
    f.write_str(if bytes.len() > 300 { "…\"" } else { "\"" })
}

/// The notation of `pattern.rs`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Simple(text) => write!(f, "+{text}"),
            Reply::Error(text) => write!(f, "-{text}"),
            Reply::Int(n) => write!(f, ":{n}"),
            Reply::Bulk(bytes) => write_bytes(f, bytes),
            Reply::Null | Reply::NullBulk => f.write_str("nil"),
            Reply::NullArray => f.write_str("nil*"),
            Reply::Array(items) => {
                f.write_str("[")?;
                for (n, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if n == 0 { "" } else { " " })?;
                }
                f.write_str("]")
            }
            Reply::Map(pairs) => {
                f.write_str("{")?;
                for (n, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{key} {value}", if n == 0 { "" } else { " " })?;
                }
                f.write_str("}")
            }
            Reply::Verbatim(_, bytes) => write_bytes(f, bytes),
            Reply::Other(text) => f.write_str(text),
        }
    }
}
