//! Offers of files, their answers, and the last words on them.

use tubes_protocol::file::{Contents, FileAnswer, FileError, FileOffer, Sum, Verdict, Withdrawal};
use xmpp_parsers::minidom::Element;

use crate::xml::{element, through_text};

/// Reads bytes as a last word, or an element as everything that is said of files: what was read is within
/// its bounds, is written as something that reads the same, and what cannot be read has an answer that
/// can be sent.
pub fn file_offer(data: &[u8]) {
    if let Ok(line) = str::from_utf8(data) {
        last_words(line);
    }
    let Some(element) = element(data) else { return };
    if let Some(offer) = or_answered(FileOffer::try_from(&element)) {
        assert!((1..=1024).contains(&offer.name().len()));
        assert!(
            offer
                .description
                .as_ref()
                .is_none_or(|text| text.len() <= 4096)
        );
        let written = through_text(&offer.clone().into());
        assert_eq!(FileOffer::try_from(&written).as_ref(), Ok(&offer));
        answer(&element, offer.size);
    }
    for size in [0, 1, 1000, u64::MAX] {
        answer(&element, size);
    }
    if let Some(contents) = or_answered(Contents::try_from(&element)) {
        let folder = contents.folder();
        assert!(folder.len() <= 64);
        assert!(folder.iter().map(String::len).sum::<usize>() <= 4096);
        let leads_down = |part: &String| !matches!(&**part, "" | "." | "..") && !part.contains('/');
        assert!(folder.iter().all(leads_down));
        let written = through_text(&contents.clone().into());
        assert_eq!(Contents::try_from(&written), Ok(contents));
    }
    if let Some(withdrawal) = or_answered(Withdrawal::try_from(&element)) {
        let written = through_text(&withdrawal.clone().into());
        assert_eq!(Withdrawal::try_from(&written), Ok(withdrawal));
    }
}

fn last_words(line: &str) {
    if let Ok(sum) = line.parse::<Sum>() {
        assert_eq!(sum.to_string().parse(), Ok(sum));
    }
    if let Ok(verdict) = line.parse::<Verdict>() {
        assert_eq!(verdict.to_string().parse(), Ok(verdict));
    }
}

fn answer(element: &Element, size: u64) {
    let Ok(answer) = FileAnswer::read(Some(element), size) else {
        return;
    };
    let end = answer
        .range
        .offset
        .checked_add(answer.range.length_of(size));
    assert!(end.is_some_and(|end| end <= size));
    let written = through_text(&answer.into());
    assert_eq!(FileAnswer::read(Some(&written), size), Ok(answer));
}

fn or_answered<T>(read: Result<T, FileError>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(why) => {
            through_text(&why.to_stanza_error().into());
            None
        }
    }
}
