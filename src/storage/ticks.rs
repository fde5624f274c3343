//! The processor's own count of time, where it has one that goes on evenly.
//!
//! `unsafe` for two instructions, which read nothing but registers.

/// Ticks since some moment, which may be another one on another processor. `None` where the count
/// does not go on evenly, whatever the processor is at.
#[inline]
pub(super) fn ticks() -> Option<u64> {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    return x86::ticks();
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    return None;
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[allow(unsafe_code)]
mod x86 {
    use std::arch::x86_64::{__cpuid, _rdtsc};
    use std::sync::LazyLock;

    static IS_EVEN: LazyLock<bool> = LazyLock::new(|| {
        const HIGHEST: u32 = 0x8000_0000;
        const POWER: u32 = 0x8000_0007;
        const INVARIANT: u32 = 1 << 8;
        // Older compilers ask for the block.
        #[allow(unused_unsafe)]
        // SAFETY: every processor of this architecture has the instruction, and answers a question
        // that it does not know with numbers of no meaning; so the highest one is asked for first.
        let (highest, power) = unsafe { (__cpuid(HIGHEST).eax, __cpuid(POWER).edx) };
        highest >= POWER && power & INVARIANT != 0
    });

    #[inline]
    pub(super) fn ticks() -> Option<u64> {
        // SAFETY: every processor of this architecture has the instruction. Where the system has
        // forbidden it, its own clock, which uses it, ends the program as well.
        IS_EVEN.then(|| unsafe { _rdtsc() })
    }
}
