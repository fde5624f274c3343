//! The bytes of the options that are stored with a stream.

use super::*;

impl StoredOptions {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        write_varint(out, self.segment_bytes);
        write_varint(out, self.max_entry_bytes);
        write_varint(out, u64::from(self.block_entries));
        write_varint(out, u64::from(self.block_bytes));
        let Retention { max_len, min_id, max_age_ms, max_bytes, keep_unacked } = self.retention;
        write_option(out, max_len);
        out.push(u8::from(min_id.is_some()));
        if let Some(id) = min_id {
            write_id(out, id);
        }
        write_option(out, max_age_ms);
        write_option(out, max_bytes);
        out.push(u8::from(keep_unacked));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Option<StoredOptions> {
        Some(StoredOptions {
            segment_bytes: reader.number()?,
            max_entry_bytes: reader.number()?,
            block_entries: reader.small()?,
            block_bytes: reader.small()?,
            retention: Retention {
                max_len: reader.option()?,
                min_id: if reader.flag()? { Some(reader.id()?) } else { None },
                max_age_ms: reader.option()?,
                max_bytes: reader.option()?,
                keep_unacked: reader.flag()?,
            },
        })
    }
}
