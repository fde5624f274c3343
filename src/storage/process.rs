//! The process that opened a store, told from a child that was forked off it.
//!
//! A child inherits the handles and the maps, but none of the threads, and two processes must not
//! append to one log. Asking the system for the process ID would cost an append a good part of its
//! time, so each store has a byte of memory that the kernel clears in a child.

use super::region::WipedOnFork;

#[derive(Debug)]
pub(crate) struct Process {
    /// `None` where the kernel clears nothing: then it is asked for the process ID.
    mark: Option<WipedOnFork>,
    id: u32,
}

impl Process {
    /// The process that runs.
    pub(crate) fn this() -> Process {
        Process { mark: WipedOnFork::new().ok(), id: std::process::id() }
    }

    /// Whether it still is the one that runs.
    #[inline]
    pub(crate) fn is_this(&self) -> bool {
        match &self.mark {
            Some(mark) => mark.is_whole(),
            None => self.id == std::process::id(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_mark_the_process_id_tells() {
        assert!(Process::this().is_this());
        assert!(Process { mark: None, ..Process::this() }.is_this());
        assert!(!Process { mark: None, id: std::process::id() ^ 1 }.is_this());
    }
}
