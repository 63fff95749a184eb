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
    letter.is_control() || is_directional(letter) || is_invisible(letter)
}

/// Letters that are not seen, or end a line (Unicode's `Default_Ignorable_Code_Point`, `Zl` and `Zp`), but for
/// those that scripts and pictures are written with: joiners and selectors of variants.
fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{200b}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e00ff}'
            | '\u{e01f0}'..='\u{e0fff}'
    )
}

/// Marks that reorder the text around them (Unicode Bidirectional Algorithm, UAX #9 §2).
fn is_directional(letter: char) -> bool {
    matches!(
        letter,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

fn within_quotes(text: &str, most: usize) -> String {
    let mut letters: Vec<String> = Vec::new();
    for letter in text.chars() {
        let shown = match letter {
            '"' | '\\' => format!("\\{letter}"),
            letter if is_tricky(letter) => letter.escape_default().to_string(),
            // A wide gap would look like the end of a line.
            letter if letter.is_whitespace() => match letters.last().map(String::as_str) {
                None | Some(" ") => continue,
                _ => " ".to_owned(),
            },
            letter => letter.to_string(),
        };
        letters.push(shown);
    }
    if letters.last().is_some_and(|last| last == " ") {
        letters.pop();
    }
    format!("\"{}\"", cut(&letters, most))
}

/// The beginning and the end of what has more letters than this, as it is shown. What stands for one letter
/// is not torn: half of it could end the quotes.
fn cut(letters: &[String], most: usize) -> String {
    let length = |letter: &String| letter.chars().count();
    if letters.iter().map(length).sum::<usize>() <= most {
        return letters.concat();
    }
    let fitting = |letter: &&String, left: &mut usize| {
        let rest = left.checked_sub(length(letter));
        rest.map(|rest| *left = rest).is_some()
    };
    let (mut for_end, mut for_beginning) = (most / 3, most - most / 3 - 1);
    let beginning = letters.iter();
    let beginning = beginning.take_while(|letter| fitting(letter, &mut for_beginning));
    let beginning: String = beginning.map(String::as_str).collect();
    let end = letters.iter().rev();
    let end: Vec<_> = end
        .take_while(|letter| fitting(letter, &mut for_end))
        .map(String::as_str)
        .collect();
    let end: String = end.into_iter().rev().collect();
    format!("{beginning}…{end}")
}

/// Whether it cannot be taken for anything but a name.
fn is_word(text: &str) -> bool {
    let is_plain = |letter: char| {
        letter.is_alphanumeric() && !is_tricky(letter) || matches!(letter, '-' | '_' | '.')
    };
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
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test that cannot go on fails"
    )]

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
    fn quotes_are_not_ended_wherever_a_long_text_is_cut() {
        for at in 0..300 {
            for trick in ['"', '\\', '\u{202e}'] {
                let mut letters = vec!['x'; 300];
                letters[at] = trick;
                let shown = quoted(&letters.into_iter().collect::<String>());
                let within = shown.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
                let rest = within.replace("\\\\", "").replace("\\\"", "");
                let rest = rest.replace("\\u{202e}", "");
                assert!(!rest.contains(['"', '\\']), "{at}: {shown}");
                assert!(shown.chars().count() <= GLANCE + 2, "{at}: {shown}");
            }
        }
    }

    #[test]
    fn only_a_plain_word_stands_without_quotes() {
        assert_eq!(word("x-echo_2.0"), "x-echo_2.0");
        assert_eq!(word("café"), "café");
        assert_eq!(word("ssh, http"), "\"ssh, http\"");
        assert_eq!(word("ssh\u{3164}is"), r#""ssh\u{3164}is""#);
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
