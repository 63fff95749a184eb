//! Bytes that are easy to make and hard to confuse.

use sha2::{Digest, Sha256};

/// Content that nothing else has: each seed has its own, without any period.
pub(crate) struct Content;

impl Content {
    /// `length` bytes of this seed.
    pub(crate) fn of(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed;
        let words = std::iter::repeat_with(|| split_mix(&mut state));
        let mut bytes: Vec<u8> = words
            .take(length.div_ceil(8))
            .flat_map(u64::to_le_bytes)
            .collect();
        bytes.truncate(length);
        bytes
    }
}

/// The SHA-256 of these bytes; two of them are easier to read than two contents.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes, {hex}", bytes.len())
}

/// SplitMix64: a few lines, and good enough to tell bytes apart.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
