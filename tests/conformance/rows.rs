//! The rows of the reference's table of features, and the numbered tests that show each.

/// Name of the row, codes of its tests.
pub(crate) type Row = (&'static str, &'static [&'static str]);

pub(crate) const ROWS: &[Row] = &[];
