//! When a stream is to be removed: a time that is kept with it, for whoever serves it.

use super::*;

impl Stream {
    /// When the stream is to be removed, in milliseconds since 1970; `None`: never (PEXPIRETIME).
    ///
    /// # Errors
    /// `NoStream`, `Closed`; what recovering the stream may give.
    #[doc(alias = "PEXPIRETIME")]
    #[doc(alias = "TTL")]
    pub fn expires_at(&self) -> Result<Option<u64>> {
        Ok(self.inner.lock(self.shared())?.state.expires_ms)
    }

    /// Sets when the stream is to be removed, in milliseconds since 1970 (PEXPIREAT), or that it
    /// is not (PERSIST).
    ///
    /// The library only keeps the time: it removes nothing, and a time in the past changes nothing
    /// either. Who wants that the stream goes then calls [`Store::remove`](crate::Store::remove);
    /// the server of the feature `resp` does. The time is stored with the stream, as its options
    /// are; it goes along to another name and into a copy, and ends with the stream. What it has
    /// already costs no record.
    ///
    /// ```
    /// # use streamlog::Store;
    /// let store = Store::in_memory()?;
    /// let stream = store.stream("s")?;
    /// stream.set_expires_at(Some(1_800_000_000_000))?;
    /// store.rename("s", "t")?;
    /// assert_eq!(stream.expires_at()?, Some(1_800_000_000_000));
    /// # Ok::<(), streamlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// `StorageFull`, `Poisoned`, `ReadOnly`, `NoStream`, `Closed`.
    #[doc(alias = "PEXPIREAT")]
    #[doc(alias = "EXPIRE")]
    #[doc(alias = "PERSIST")]
    pub fn set_expires_at(&self, at_ms: Option<u64>) -> Result<()> {
        let shared = self.shared();
        let ((), position) = self.inner.change(shared, true, |locked| {
            let differs = locked.state.expires_ms != at_ms;
            Ok(((), differs.then_some(Event::ExpirySet { at_ms }).into_iter().collect()))
        })?;
        self.inner.settle(shared, position)
    }
}
