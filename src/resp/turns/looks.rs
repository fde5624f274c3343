//! Whether the loop looks for the next command before it sleeps. It relies on being told what came
//! of each look.

/// So many looks in vain in a row are no reason to look less often.
const IN_VAIN: u32 = 3;
/// Each one more doubles how often the loop sleeps at once, up to two to the power of this.
const MOST_SKIPPED: u32 = 6;

/// Whether to look for the next command before the loop sleeps.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// Somebody had a turn in the last round.
    pub(super) lively: bool,
    in_vain: u32,
    /// So often the loop sleeps at once.
    skips: u32,
}

impl Looks {
    pub(super) fn is_worth(&mut self) -> bool {
        let skips = self.skips;
        self.skips = skips.saturating_sub(1);
        self.lively && skips == 0
    }

    /// Where looks are in vain, others have a use for the processor.
    pub(super) fn note(&mut self, found: bool) {
        self.in_vain = if found { 0 } else { (self.in_vain + 1).min(IN_VAIN + MOST_SKIPPED) };
        self.skips = match self.in_vain.checked_sub(IN_VAIN) {
            None | Some(0) => 0,
            Some(more) => 1 << more,
        };
    }
}
