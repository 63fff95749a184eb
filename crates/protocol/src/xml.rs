//! What XML can carry.

/// Whether every character of `text` may stand in XML 1.0 (§2.2), escaped or not.
///
/// One that may not would end the whole XMPP stream, so it is refused where it comes in.
pub(crate) fn can_carry(text: &str) -> bool {
    text.chars()
        .all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..='\u{10ffff}'))
}

#[cfg(test)]
mod tests {
    use super::can_carry;

    #[test]
    fn carries_what_people_write() {
        assert!(can_carry("a <b> & 'c' \u{1f600}\r\n\t"));
    }

    #[test]
    fn carries_no_control_characters_and_no_noncharacters() {
        for text in ["\0", "\u{1}", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
            assert!(!can_carry(text), "{text:?}");
        }
    }
}
