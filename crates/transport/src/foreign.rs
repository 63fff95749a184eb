//! Text that a peer chose, as sentences for people have it: in quotes, short, and without tricks.
//!
//! ```
//! use tubes_transport::foreign::{named, quoted, word};
//!
//! assert_eq!(quoted("bill.pdf\u{202e}"), r#""bill.pdf\u{202e}""#);
//! assert_eq!((word("ssh"), word("ssh, too")), ("ssh".to_owned(), r#""ssh, too""#.to_owned()));
//! assert_eq!(named("hall@rooms.example.org/is here"), r#"hall@rooms.example.org/"is here""#);
//! ```

use std::fmt;

/// The text with what could play tricks on a terminal made visible.
pub fn harmless(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let tricky = is_tricky(letter);
            let escaped = tricky.then(|| letter.escape_default());
            let plain = (!tricky).then_some(letter);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// The text in quotes, which cannot end them, and no more of it than can be taken in at a glance: its beginning and
/// its end.
pub fn quoted(text: &str) -> String {
    within_quotes(text, GLANCE)
}

/// A reason in a peer's own words, in quotes.
pub fn said(reason: &str) -> String {
    within_quotes(reason, REASON)
}

/// A plain word as it is, everything else in quotes: where what a peer chose is a word as a rule.
pub fn word(text: &str) -> String {
    match is_word(text) {
        true => text.to_owned(),
        false => quoted(text),
    }
}

/// An address, of which the end (the resource, or the name in a room) is of the peer's own choice.
pub fn named(jid: impl fmt::Display) -> String {
    let jid = jid.to_string();
    let (bare, end) = match jid.split_once('/') {
        Some((bare, end)) => (bare, format!("/{}", word(end))),
        None => (&*jid, String::new()),
    };
    shortened(&harmless(bare), ADDRESS) + &end
}

/// The beginning and the end of a text that has more letters than this.
pub fn shortened(text: &str, most: usize) -> String {
    let letters = text.chars().count();
    if letters <= most {
        return text.to_owned();
    }
    let end = most / 3;
    let beginning: String = text.chars().take(most.saturating_sub(end + 1)).collect();
    let end: String = text.chars().skip(letters - end).collect();
    format!("{beginning}…{end}")
}

/// Whether a letter could play tricks on a terminal.
pub fn is_tricky(letter: char) -> bool {
    letter.is_control() || is_directional(letter)
}

/// Marks that reorder the text around them (Unicode Bidirectional Algorithm, UAX #9 §2).
fn is_directional(letter: char) -> bool {
    matches!(
        letter,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

fn within_quotes(text: &str, most: usize) -> String {
    let marked = text.replace('\\', "\\\\").replace('"', "\\\"");
    let plain = harmless(&marked);
    // A wide gap would look like the end of a line.
    let words: Vec<_> = plain.split_whitespace().collect();
    format!("\"{}\"", shortened(&words.join(" "), most))
}

/// Whether it cannot be taken for anything but a name.
fn is_word(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.');
    !text.is_empty() && text.chars().count() <= GLANCE && text.chars().all(is_plain)
}

/// Letters that are shown: less than a line, so that none of it looks like a line of its own.
const GLANCE: usize = 64;

/// Letters of a reason. Our own kind says some of a hundred.
const REASON: usize = 200;

/// Letters of an address without its end. Longer ones are hardly met.
const ADDRESS: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_play_tricks_on_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(harmless("x\u{202e}gpj.exe"), "x\\u{202e}gpj.exe");
        assert_eq!(harmless("1\u{61c}-2"), "1\\u{61c}-2");
        assert_eq!(harmless("Fernand café"), "Fernand café");
    }

    #[test]
    fn what_a_peer_says_stays_in_its_quotes_and_in_a_line() {
        assert_eq!(quoted("a \" b"), "\"a \\\" b\"");
        assert_eq!(quoted(r#"a\" is here"#), r#""a\\\" is here""#);
        assert_eq!(quoted("two   words"), "\"two words\"");
        let long = format!("bill.pdf{}{}.exe", " ".repeat(80), "x".repeat(300));
        let shown = quoted(&long);
        assert_eq!(shown.chars().count(), GLANCE + 2);
        assert!(
            shown.starts_with("\"bill.pdf x") && shown.ends_with("x.exe\""),
            "{shown}"
        );
        assert_eq!(said(&long).chars().count(), REASON + 2);
    }

    #[test]
    fn only_a_plain_word_stands_without_quotes() {
        assert_eq!(word("x-echo_2.0"), "x-echo_2.0");
        assert_eq!(word("café"), "café");
        assert_eq!(word("ssh, http"), "\"ssh, http\"");
        assert_eq!(word(""), "\"\"");
        assert_eq!(word(&"x".repeat(1000)).chars().count(), GLANCE + 2);
    }

    #[test]
    fn the_end_of_an_address_cannot_look_like_the_rest_of_the_sentence() {
        for plain in ["alice@example.org", "alice@example.org/tubes-33b804c8"] {
            assert_eq!(named(plain), plain);
        }
        assert_eq!(
            named("hall@rooms.example.org/x is online\u{202e}"),
            "hall@rooms.example.org/\"x is online\\u{202e}\""
        );
        assert_eq!(named("alice@example.org/a/b"), "alice@example.org/\"a/b\"");
        let long = format!("{}@example.org/{}", "a".repeat(500), " x".repeat(500));
        assert_eq!(named(long).chars().count(), ADDRESS + GLANCE + 3);
    }
}
