//! How a name that somebody chose becomes one that is safe anywhere.

use unicode_normalization::UnicodeNormalization;

use super::LONGEST;

/// Makes one part of a path safe, whatever it is; what is safe stays as it is.
pub(super) fn mend(said: &str) -> String {
    let considered = said.chars().take(CONSIDERED);
    let visible = considered.filter(|letter| !is_invisible(*letter));
    // What becomes ASCII has to do so before joiners are looked at; what they stood between can
    // still be composed afterwards.
    let composed: Vec<_> = visible.map(spell).nfc().collect();
    let joined: String = without_lone_joiners(&composed).nfc().collect();
    let mut name = shorten(begin(trim(&joined)));
    if is_device(&name) {
        name = shorten(format!("_{name}"));
    }
    if name.is_empty() {
        NAMELESS.to_owned()
    } else {
        name
    }
}

/// Puts a number before the ending: `a (2).txt`.
pub(super) fn number(name: &str, number: u32) -> String {
    let (stem, ending) = split(name);
    let ending = format!(" ({number}){ending}");
    let stem = trim_end(cut(stem, LONGEST.saturating_sub(ending.len())));
    format!("{stem}{ending}")
}

/// As many whole characters of the beginning as go into so many bytes.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    let fits = |end: &usize| *end <= bytes;
    let ends = text
        .char_indices()
        .map(|(at, letter)| at + letter.len_utf8());
    let end = ends.take_while(fits).last().unwrap_or(0);
    text.get(..end).unwrap_or(text)
}

/// Characters that separate paths, or that Windows or a terminal has another use for.
fn spell(letter: char) -> char {
    match letter {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
        '\u{2028}' | '\u{2029}' => '_',
        control if control.is_control() => '_',
        other => other,
    }
}

/// What is not seen itself and can make a name look like another one, or turn it round.
///
/// Not in the list are variation selectors, which emoji and Han names need, and letters that
/// happen to be blank.
fn is_invisible(letter: char) -> bool {
    let code = u32::from(letter);
    // The last two of each plane are no characters at all.
    code & 0xfffe == 0xfffe
        || INVISIBLE
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&letter))
}

/// Joiners are spelling in Persian, Indic scripts, Mongolian and emoji. They stay between two
/// characters of such scripts, and nowhere else.
fn without_lone_joiners(letters: &[char]) -> impl Iterator<Item = char> {
    let mut before = ' ';
    letters.iter().enumerate().filter_map(move |(at, letter)| {
        let after = letters.get(at + 1).copied().unwrap_or(' ');
        let stands = !is_joiner(*letter)
            || !(before.is_ascii() || is_joiner(before) || after.is_ascii() || is_joiner(after));
        if stands {
            before = *letter;
        }
        stands.then_some(*letter)
    })
}

fn is_joiner(letter: char) -> bool {
    matches!(letter, '\u{34f}' | '\u{180e}' | '\u{200c}' | '\u{200d}')
}

/// Nobody sees what is blank at either end.
fn trim(name: &str) -> &str {
    trim_end(name.trim_start_matches(is_blank))
}

/// Windows takes dots at the end away, too.
fn trim_end(name: &str) -> &str {
    name.trim_end_matches(|letter| is_blank(letter) || letter == '.')
}

fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || is_joiner(letter)
}

/// A name that begins with a dot is hidden, with a dash it looks like an option, and with a tilde
/// shells replace it.
fn begin(name: &str) -> String {
    match name.strip_prefix(['.', '-', '~']) {
        Some(rest) => format!("_{rest}"),
        None => name.to_owned(),
    }
}

/// Takes away from the end of the stem: the ending says what the file is.
fn shorten(name: String) -> String {
    if name.len() <= LONGEST {
        return name;
    }
    let (stem, ending) = split(&name);
    let kept = trim_end(cut(stem, LONGEST - ending.len()));
    format!("{kept}{ending}")
}

/// The stem of a name, and its ending with the dot: nothing if it is too long for one.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= ENDING => name.split_at(at),
        _ => (name, ""),
    }
}

/// Windows takes these for devices, whatever their ending and case.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let stem = stem.trim_end().to_uppercase();
    if DEVICES.contains(&&*stem) {
        return true;
    }
    let port = ["COM", "LPT"]
        .iter()
        .find_map(|kind| stem.strip_prefix(kind));
    port.is_some_and(|port| {
        let mut digits = port.chars();
        digits
            .next()
            .is_some_and(|digit| "0123456789¹²³".contains(digit))
            && digits.next().is_none()
    })
}

/// More of a name than any file system keeps, so that what a peer says costs little.
const CONSIDERED: usize = 4096;

/// An ending, its dot included, is longer than this only if it is none.
const ENDING: usize = 32;

/// For a name of which nothing is left.
const NAMELESS: &str = "file";

const DEVICES: [&str; 6] = ["AUX", "CON", "CONIN$", "CONOUT$", "NUL", "PRN"];

/// Formatting of text: soft hyphens, marks, embeddings, overrides and isolates of direction,
/// spaces of no width, fillers, annotations, shorthand and music, tags.
const INVISIBLE: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{200b}', '\u{200b}'),
    ('\u{200e}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fdd0}', '\u{fdef}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e00ff}'),
    ('\u{e01f0}', '\u{e0fff}'),
    ('\u{13430}', '\u{13438}'),
];
