//! What two people compare, to know that nobody is in between.

use std::num::NonZeroU32;

use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};

use crate::key::PublicKey;

/// Eight groups of five digits that are the same at both sides, if both see the same two keys.
///
/// Half of them are of the one key, half of the other: whoever wants to be in between unnoticed
/// has to find a key with the same twenty digits as one that is given, and each try costs 2^17
/// hashes: 2^83 in all.
///
/// ```
/// use tubes_secure::{PublicKey, safety_number};
///
/// let (alices, fernands) = (PublicKey::from([7; 32]), PublicKey::from([8; 32]));
/// let at_alice = safety_number(alices, fernands);
/// assert_eq!(at_alice, safety_number(fernands, alices));
/// assert_eq!(at_alice.split(' ').count(), 8);
/// ```
pub fn safety_number(one: PublicKey, other: PublicKey) -> String {
    let (first, second) = if one <= other {
        (one, other)
    } else {
        (other, one)
    };
    let groups: Vec<_> = [digits(first), digits(second)].concat();
    groups.join(" ")
}

fn digits(key: PublicKey) -> Vec<String> {
    let mut stretched = [0; 4 * 8];
    pbkdf2::derive(
        PBKDF2_HMAC_SHA256,
        ROUNDS,
        SALT,
        key.as_bytes(),
        &mut stretched,
    );
    let groups = stretched.chunks_exact(8);
    groups
        .map(|group| {
            let number = group
                .iter()
                .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            format!("{:05}", number % 100_000)
        })
        .collect()
}

/// Salt in the sense of a purpose: the same for all, as both sides need it.
const SALT: &[u8] = b"tubes safety number 0";

/// A tenth of a second or less for who compares, 2^17 times the work for who forges.
const ROUNDS: NonZeroU32 = match NonZeroU32::new(1 << 17) {
    Some(rounds) => rounds,
    None => NonZeroU32::MIN,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_see_the_same_and_others_something_else() {
        let [alice, fernand, other] = [1, 2, 3].map(|byte| PublicKey::from([byte; 32]));
        let number = safety_number(alice, fernand);
        assert_eq!(number, safety_number(fernand, alice));
        assert_ne!(number, safety_number(alice, other));
        let groups: Vec<_> = number.split(' ').collect();
        assert_eq!(groups.len(), 8);
        let five =
            |group: &&str| group.len() == 5 && group.bytes().all(|byte| byte.is_ascii_digit());
        assert!(groups.iter().all(five), "{number}");
    }

    #[test]
    fn it_stays_the_same_over_versions() {
        let [alice, fernand] = [1, 2].map(|byte| PublicKey::from([byte; 32]));
        let number = "51562 78314 34849 44640 55430 64581 87650 09203";
        assert_eq!(safety_number(alice, fernand), number);
    }
}
