//! What callers choose of giving deliveries back.

/// What giving a delivery back says of it: the modes of XNACK. It decides on the delivery count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NackMode {
    /// `SILENT`: the delivery did not happen; it is taken off the count again.
    Silent,
    /// `FAIL`: the delivery counts.
    Fail,
    /// `FATAL`: nobody will ever manage; the count becomes the largest there is, 2^63 - 1.
    Fatal,
}

/// Options of [`Group::nack_with`](crate::Group::nack_with) (XNACK).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NackOptions {
    pub(crate) retry_count: Option<u64>,
    pub(crate) force: bool,
}

impl NackOptions {
    /// The count is what the mode says; what is not pending is passed over.
    #[must_use]
    pub fn new() -> NackOptions {
        NackOptions::default()
    }

    /// `RETRYCOUNT`: sets the delivery count, whatever the mode.
    #[must_use]
    pub fn retry_count(mut self, deliveries: u64) -> NackOptions {
        self.retry_count = Some(deliveries);
        self
    }

    /// `FORCE`: makes a pending record for entries that have none, as never delivered.
    #[must_use]
    pub fn force(mut self) -> NackOptions {
        self.force = true;
        self
    }
}
