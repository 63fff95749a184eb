//! Text of somebody else's, as people are shown it.

/// Text of somebody else's, with what could play tricks on a terminal made visible.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let tricky = is_tricky(letter);
            let escaped = tricky.then(|| letter.escape_default());
            let plain = (!tricky).then_some(letter);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// Text of somebody else's in quotes, which cannot end them, and no more of it than can be taken in at a glance:
/// its beginning and its end.
pub(crate) fn quoted(text: &str) -> String {
    let plain = harmless(text).replace('"', "\\\"");
    // A wide gap would look like the end of a line.
    let words: Vec<_> = plain.split_whitespace().collect();
    format!("\"{}\"", cut(&words.join(" "), GLANCE))
}

/// The beginning and the end of a text that has more letters than this.
pub(super) fn cut(text: &str, most: usize) -> String {
    let letters = text.chars().count();
    if letters <= most {
        return text.to_owned();
    }
    let end = most / 3;
    let beginning: String = text.chars().take(most - end - 1).collect();
    let end: String = text.chars().skip(letters - end).collect();
    format!("{beginning}…{end}")
}

/// Whether it could play tricks on a terminal.
pub(super) fn is_tricky(letter: char) -> bool {
    letter.is_control() || is_directional(letter)
}

/// Marks that reorder the text around them (Unicode Bidirectional Algorithm, UAX #9 §2).
fn is_directional(letter: char) -> bool {
    matches!(
        letter,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Letters of somebody else's text that are shown: less than a line, so that none of it looks like a line of its own.
const GLANCE: usize = 64;

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
        assert_eq!(quoted("two   words"), "\"two words\"");
        let long = format!("bill.pdf{}{}.exe", " ".repeat(80), "x".repeat(300));
        let shown = quoted(&long);
        assert_eq!(shown.chars().count(), GLANCE + 2);
        assert!(
            shown.starts_with("\"bill.pdf x") && shown.ends_with("x.exe\""),
            "{shown}"
        );
    }
}
