//! The sixteen databases within one store.
//!
//! Database 0 holds the store's streams under their own names. The streams of database `n` have
//! names that begin with a prefix of four bytes, so that SELECT, MOVE and SWAPDB need nothing but
//! names. No name of database 0 may begin like that.

use super::refusal::Refusal;
use std::borrow::Cow;

/// How many databases there are.
pub(crate) const DATABASES: usize = 16;

const PREFIX: [u8; 3] = *b"\0db";

fn prefix(number: u8) -> [u8; 4] {
    [PREFIX[0], PREFIX[1], PREFIX[2], number]
}

/// The name in the store of a key of a database.
pub(crate) fn name(db: usize, key: &[u8]) -> Result<Cow<'_, [u8]>, Refusal> {
    if db == 0 {
        return match key.starts_with(&PREFIX) {
            true => Err(Refusal::RESERVED_NAME),
            false => Ok(Cow::Borrowed(key)),
        };
    }
    Ok(Cow::Owned(prefixed(db as u8, key)))
}

/// How many bytes of a name in the store are not the key's.
pub(crate) fn prefix_len(db: usize) -> usize {
    if db == 0 { 0 } else { PREFIX.len() + 1 }
}

fn prefixed(number: u8, key: &[u8]) -> Vec<u8> {
    [&prefix(number)[..], key].concat()
}

/// The key of a name in the store; `None` if it belongs to another database.
pub(crate) fn key_of(db: usize, name: &[u8]) -> Option<&[u8]> {
    match place_of(name) {
        Some((number, key)) => (usize::from(number) == db && db > 0).then_some(key),
        None => (db == 0).then_some(name),
    }
}

fn place_of(name: &[u8]) -> Option<(u8, &[u8])> {
    let rest = name.strip_prefix(&PREFIX)?;
    let (number, key) = rest.split_first()?;
    Some((*number, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_its_own_database_only() {
        for db in 0..DATABASES {
            let name = name(db, b"k").unwrap();
            for other in 0..DATABASES {
                assert_eq!(key_of(other, &name), (db == other).then_some(&b"k"[..]));
            }
        }
        assert!(name(0, &name(3, b"k").unwrap()).is_err());
    }
}
