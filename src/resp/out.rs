//! The replies of one connection, written in the protocol that it speaks.
//!
//! Pure: bytes go into a buffer, which the event loop hands to the socket. The buffer has a limit;
//! what goes beyond it is dropped and remembered, and then the connection has to end.

use crate::id::EntryId;

/// The writer of a connection's replies.
#[derive(Debug)]
pub(crate) struct Out {
    buf: Vec<u8>,
    /// How much at the front of `buf` is sent already.
    start: usize,
    /// How many bytes were sent before those in `buf`.
    gone: u64,
    proto: u8,
    limit: usize,
    over: bool,
}

/// A place in the replies to go back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize);

impl Out {
    pub(crate) fn new(limit: usize) -> Out {
        Out { buf: Vec::new(), start: 0, gone: 0, proto: 2, limit, over: false }
    }

    /// 2 or 3.
    pub(crate) fn proto(&self) -> u8 {
        self.proto
    }

    pub(crate) fn set_proto(&mut self, proto: u8) {
        self.proto = proto;
    }

    /// Whether a reply was longer than may be kept. Who writes many elements looks at it now and
    /// then, and stops.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// How much is to be sent.
    pub(crate) fn len(&self) -> usize {
        self.buf.len() - self.start
    }

    /// The number of the first byte that is to be sent, counted over the whole connection.
    pub(crate) fn first(&self) -> u64 {
        self.gone + self.start as u64
    }

    /// The number of the byte that is written next.
    pub(crate) fn end(&self) -> u64 {
        self.gone + self.buf.len() as u64
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark(self.buf.len())
    }

    /// Takes back what was written since.
    pub(crate) fn truncate(&mut self, mark: Mark) {
        self.buf.truncate(mark.0);
    }

    /// How many bytes were written since.
    pub(crate) fn since(&self, mark: Mark) -> usize {
        self.buf.len().saturating_sub(mark.0)
    }

    /// What is to be sent.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buf[self.start..]
    }

    /// The first bytes were sent. Marks from before mean nothing any more.
    pub(crate) fn sent(&mut self, count: usize) {
        self.start += count.min(self.len());
        if self.start == self.buf.len() {
            self.gone += self.start as u64;
            self.start = 0;
            self.buf.clear();
            if self.buf.capacity() > KEPT {
                self.buf = Vec::new();
            }
        } else if self.start > self.buf.len() / 2 {
            self.gone += self.start as u64;
            self.buf.drain(..self.start);
            self.start = 0;
        }
    }

    pub(crate) fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// Must not hold a line end.
    pub(crate) fn simple(&mut self, text: &str) {
        self.raw(b"+");
        self.raw(text.as_bytes());
        self.raw(b"\r\n");
    }

    /// The full text, with its code and without the `-`.
    pub(crate) fn error(&mut self, text: &str) {
        self.raw(b"-");
        if text.contains(['\r', '\n']) {
            self.raw(text.replace(['\r', '\n'], " ").as_bytes());
        } else {
            self.raw(text.as_bytes());
        }
        self.raw(b"\r\n");
    }

    pub(crate) fn int(&mut self, value: i64) {
        self.head(b':', value);
    }

    /// A count; what no reply can say is shown as the largest that one can.
    pub(crate) fn count(&mut self, value: u64) {
        self.int(i64::try_from(value).unwrap_or(i64::MAX));
    }

    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.size(b'$', bytes.len());
        self.raw(bytes);
        self.raw(b"\r\n");
    }

    pub(crate) fn id(&mut self, id: EntryId) {
        let mut text = [0; 41];
        let len = id_text(id, &mut text);
        self.bulk(&text[..len]);
    }

    pub(crate) fn null(&mut self) {
        self.raw(if self.proto == 3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    pub(crate) fn null_array(&mut self) {
        self.raw(if self.proto == 3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    pub(crate) fn array(&mut self, len: usize) {
        self.size(b'*', len);
    }

    /// So many pairs follow.
    pub(crate) fn map(&mut self, pairs: usize) {
        if self.proto == 3 {
            self.size(b'%', pairs);
        } else {
            self.size(b'*', pairs.saturating_mul(2));
        }
    }

    /// An unordered collection of so many elements.
    pub(crate) fn set(&mut self, len: usize) {
        self.size(if self.proto == 3 { b'~' } else { b'*' }, len);
    }

    /// A longer text for people to read.
    pub(crate) fn verbatim(&mut self, text: &str) {
        if self.proto == 3 {
            self.size(b'=', text.len() + 4);
            self.raw(b"txt:");
            self.raw(text.as_bytes());
            self.raw(b"\r\n");
        } else {
            self.bulk(text.as_bytes());
        }
    }

    /// A reply whose number of elements is known only when they are written; see
    /// [`Out::close_array`].
    pub(crate) fn open_array(&self) -> Mark {
        self.mark()
    }

    /// Puts the header in front of what was written since.
    pub(crate) fn close_array(&mut self, start: Mark, len: usize) {
        self.close(b'*', start, len);
    }

    /// The same for a map.
    pub(crate) fn close_map(&mut self, start: Mark, pairs: usize) {
        match self.proto {
            3 => self.close(b'%', start, pairs),
            _ => self.close(b'*', start, pairs.saturating_mul(2)),
        }
    }

    fn close(&mut self, sign: u8, start: Mark, len: usize) {
        let end = self.buf.len();
        self.size(sign, len);
        let header = self.buf.len() - end;
        self.buf[start.0..].rotate_right(header);
    }

    fn size(&mut self, sign: u8, len: usize) {
        self.head(sign, i64::try_from(len).unwrap_or(i64::MAX));
    }

    fn head(&mut self, sign: u8, value: i64) {
        let mut line = [0; 24];
        line[0] = sign;
        let mut end = 1;
        if value < 0 {
            line[1] = b'-';
            end = 2;
        }
        end += digits(value.unsigned_abs(), &mut line[end..]);
        line[end..end + 2].copy_from_slice(b"\r\n");
        self.raw(&line[..end + 2]);
    }

    #[inline]
    fn raw(&mut self, bytes: &[u8]) {
        if self.len() + bytes.len() > self.limit {
            self.over = true;
            return;
        }
        self.buf.extend_from_slice(bytes);
    }
}

/// The buffer of a connection is kept from one reply to the next up to this size.
const KEPT: usize = 4 << 10;

/// Writes a number in decimal; returns how many digits it has.
pub(crate) fn digits(mut value: u64, to: &mut [u8]) -> usize {
    let mut text = [0; 20];
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    let len = text.len() - at;
    to[..len].copy_from_slice(&text[at..]);
    len
}

fn id_text(id: EntryId, to: &mut [u8; 41]) -> usize {
    let mut len = digits(id.ms, to);
    to[len] = b'-';
    len += 1;
    len + digits(id.seq, &mut to[len..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(proto: u8, write: impl Fn(&mut Out)) -> String {
        let mut out = Out::new(1 << 20);
        out.set_proto(proto);
        write(&mut out);
        String::from_utf8(out.bytes().to_vec()).unwrap()
    }

    #[test]
    fn each_kind_of_reply_in_both_protocols() {
        let all = |out: &mut Out| {
            out.int(i64::MIN);
            out.int(0);
            out.bulk(b"");
            out.id(EntryId::MAX);
            out.null();
            out.null_array();
            out.map(1);
            out.error("ERR a\r\nb");
            out.verbatim("x");
        };
        let common = ":-9223372036854775808\r\n:0\r\n$0\r\n\r\n\
            $41\r\n18446744073709551615-18446744073709551615\r\n";
        assert_eq!(
            written(2, all),
            format!("{common}$-1\r\n*-1\r\n*2\r\n-ERR a  b\r\n$1\r\nx\r\n")
        );
        assert_eq!(
            written(3, all),
            format!("{common}_\r\n_\r\n%1\r\n-ERR a  b\r\n=5\r\ntxt:x\r\n")
        );
    }

    #[test]
    fn a_header_is_put_in_front_of_what_it_counts() {
        let array = |out: &mut Out| {
            out.ok();
            let start = out.open_array();
            for n in 0..12 {
                out.int(n);
            }
            out.close_array(start, 12);
        };
        let text = written(2, array);
        assert!(text.starts_with("+OK\r\n*12\r\n:0\r\n"), "{text}");
        assert!(text.ends_with(":11\r\n"), "{text}");
    }

    #[test]
    fn what_is_too_long_is_dropped_and_told() {
        let mut out = Out::new(16);
        out.bulk(&[b'x'; 100]);
        assert!(out.is_over());
        assert!(out.len() <= 16);
    }
}
