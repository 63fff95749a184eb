//! Files on the wire, against the stanzas of XEP-0096 and of telepathy-gabble.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on has failed.

use std::time::{Duration, UNIX_EPOCH};

use tubes_protocol::disco::Abilities;
use tubes_protocol::file::{
    Contents, Date, FileAnswer, FileError, FileOffer, Md5, Range, Reason, Sha256, Sum, Verdict,
    Withdrawal,
};
use tubes_protocol::ns;
use tubes_protocol::si::{SiAnswer, SiRequest};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::DefinedCondition;

const FILE: &str = "http://jabber.org/protocol/si/profile/file-transfer";

#[test]
fn writes_an_offer() {
    let mut offer = FileOffer::new("a <b>.txt", 100_000).unwrap();
    offer.date = Date::of(UNIX_EPOCH + Duration::from_millis(1_767_225_600_999));
    offer.md5 = Some(Md5([0xab; 16]));
    let offer = offer.with_description("for you").unwrap();
    let written = String::from(&Element::from(offer));
    assert_eq!(
        written,
        format!(
            "<file xmlns='{FILE}' date='2026-01-01T00:00:00Z' hash='{}' name='a &lt;b&gt;.txt' \
             size='100000'><desc>for you</desc><range/></file>",
            "ab".repeat(16)
        )
    );
}

#[test]
fn a_description_that_cannot_be_said_is_refused() {
    for text in ["", "a\u{1b}b", "\u{ffff}", &"d".repeat(4097)] {
        let offer = FileOffer::new("a", 7).unwrap();
        let refused = offer.with_description(text);
        assert_eq!(refused, Err(FileError::DescriptionInvalid), "{text:?}");
    }
}

#[test]
fn reads_gabbles_offer() {
    let offer = read(
        "name='a.txt' size='100000' mime-type='text/plain' date='2026-01-01T01:00:00+01:00' \
         hash='ABABABABABABABABABABABABABABABAB'",
        "<desc>d</desc><range/>\
         <x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE'/></x>",
    );
    let offer = offer.unwrap();
    assert_eq!((offer.name(), offer.size), ("a.txt", 100_000));
    assert_eq!(offer.md5, Some(Md5([0xab; 16])));
    assert_eq!(offer.description.as_deref(), Some("d"));
    assert!(offer.ranged);
    let date = offer.date.unwrap();
    assert_eq!(date.time(), UNIX_EPOCH + Duration::from_secs(1_767_225_600));
}

#[test]
fn passes_over_what_makes_no_sense_and_is_not_needed() {
    let offer = read("name='a' size=' 7 ' date='soon' hash='7'", "<desc/>").unwrap();
    assert_eq!((offer.size, offer.date, offer.md5), (7, None, None));
    assert_eq!((offer.description, offer.ranged), (None, false));
    let long = "d".repeat(4097);
    let offer = read("name='a' size='7'", &format!("<desc>{long}</desc>")).unwrap();
    assert_eq!(offer.description, None);
}

#[test]
fn a_name_and_a_size_are_needed() {
    let long = format!("name='{}' size='7'", "n".repeat(1025));
    for (attributes, why) in [
        ("size='7'", FileError::NameMissing),
        ("name='' size='7'", FileError::NameInvalid),
        (&long, FileError::NameInvalid),
        ("name='a'", FileError::SizeMissing),
        ("name='a' size=''", FileError::SizeInvalid),
        ("name='a' size='-1'", FileError::SizeInvalid),
        ("name='a' size='+1'", FileError::SizeInvalid),
        ("name='a' size='1.5'", FileError::SizeInvalid),
        (
            "name='a' size='18446744073709551616'",
            FileError::SizeInvalid,
        ),
    ] {
        let error = read(attributes, "").unwrap_err();
        assert_eq!(error, why, "{attributes}");
        let answer = error.to_stanza_error();
        assert_eq!(answer.defined_condition, DefinedCondition::BadRequest);
    }
    let other: Element = "<file xmlns='urn:x' name='a' size='7'/>".parse().unwrap();
    assert_eq!(FileOffer::try_from(&other), Err(FileError::Foreign));
}

#[test]
fn the_largest_file_can_be_offered() {
    let offer = read(&format!("name='a' size='{}'", u64::MAX), "").unwrap();
    assert_eq!(offer.size, u64::MAX);
}

#[test]
fn an_answer_that_says_nothing_wants_the_whole() {
    for answer in [
        None,
        Some(format!("<file xmlns='{FILE}'/>")),
        Some(format!("<file xmlns='{FILE}'><range/></file>")),
        Some("<tube xmlns='http://telepathy.freedesktop.org/xmpp/tubes'/>".to_owned()),
    ] {
        let answer = answer.map(|text| text.parse::<Element>().unwrap());
        let read = FileAnswer::read(answer.as_ref(), 10).unwrap();
        assert_eq!(read.range, Range::default());
        assert_eq!(read.range.length_of(10), 10);
    }
    let written = String::from(&Element::from(FileAnswer::default()));
    assert_eq!(written, format!("<file xmlns='{FILE}'/>"));
}

#[test]
fn an_answer_can_want_a_part() {
    let read = range("offset='3' length='4'", 10).unwrap().range;
    assert_eq!((read.offset, read.length_of(10)), (3, 4));
    let read = range("offset='10'", 10).unwrap().range;
    assert_eq!(read.length_of(10), 0);
    let read = range("length='4'", 10).unwrap().range;
    assert_eq!((read.offset, read.length_of(10)), (0, 4));
    let range = Range {
        offset: 3,
        length: None,
    };
    let written = String::from(&Element::from(FileAnswer { range }));
    assert_eq!(
        written,
        format!("<file xmlns='{FILE}'><range offset='3'/></file>")
    );
}

#[test]
fn no_part_is_outside_of_the_file() {
    for wrong in [
        "offset='11'",
        "offset='3' length='8'",
        "offset='-1'",
        "offset='x'",
        "length='18446744073709551615' offset='1'",
    ] {
        assert_eq!(range(wrong, 10), Err(FileError::RangeInvalid), "{wrong}");
    }
}

#[test]
fn what_is_added_stands_within_the_kind() {
    let mut contents = Contents::within(vec!["trip".to_owned(), "day 1".to_owned()]).unwrap();
    contents.sha256 = Some(Sha256([1; 32]));
    let offer = FileOffer::new("a", 1).unwrap();
    let mut request = SiRequest::new("s", offer.into(), vec![ns::IBB.to_owned()]);
    request.extensions.push(contents.clone().into());
    let written = Element::from(request);
    let kind = written.get_child("kind", ns::KIND).unwrap();
    assert_eq!(
        String::from(kind),
        "<kind xmlns='urn:x-tubes:0'><contents folder='trip/day 1'>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>\
         AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=</hash></contents></kind>"
    );
    assert_eq!(written.attr("profile"), Some(ns::FILE_TRANSFER));
    let read = SiRequest::try_from(&written).unwrap();
    assert_eq!(Contents::read(&read.extensions), Ok(Some(contents)));
    assert_eq!(Contents::read(&[]), Ok(None));
}

#[test]
fn a_folder_leads_nowhere_but_down() {
    for wrong in ["/etc", "a/../b", "a//b", "a/", ".", "..", "a/./b"] {
        let said = contents(&format!("folder='{wrong}'"), "");
        assert_eq!(said, Err(FileError::FolderInvalid), "{wrong}");
    }
    let deep = vec!["a"; 65].join("/");
    let long = vec!["a".repeat(255); 17].join("/");
    for wrong in [deep, long] {
        let said = contents(&format!("folder='{wrong}'"), "");
        assert_eq!(said, Err(FileError::FolderInvalid));
    }
    assert_eq!(contents("folder=''", "").unwrap().folder().len(), 0);
}

#[test]
fn of_several_sums_the_known_one_is_read() {
    let known = "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>\n\
                 AQEBAQEBAQEBAQEBAQEBAQEB AQEBAQEBAQEBAQEBAQE=</hash>";
    let other = "<hash xmlns='urn:xmpp:hashes:2' algo='sha3-256'>AAAA</hash>";
    let read = contents("", &format!("{other}{known}")).unwrap();
    assert_eq!(read.sha256, Some(Sha256([1; 32])));
    assert_eq!(contents("", other).unwrap().sha256, None);
    let short = "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>AAAA</hash>";
    assert_eq!(contents("", short), Err(FileError::HashInvalid));
}

#[test]
fn the_last_words_are_lines() {
    let sum = Sum(Sha256([0xab; 32]));
    let line = format!("sha-256 {}\n", "ab".repeat(32));
    assert_eq!(sum.to_string(), line);
    assert_eq!(line.parse(), Ok(sum));
    assert_eq!(Verdict::Received.to_string(), "received\n");
    assert_eq!("received\n".parse(), Ok(Verdict::Received));
    let full = Verdict::Failed(Reason::Full);
    assert_eq!(full.to_string(), "failed full\n");
    assert_eq!("failed full\n".parse(), Ok(full));
    let new = "failed for-another-reason\n".parse();
    assert_eq!(new, Ok(Verdict::Failed(Reason::Io)));
}

#[test]
fn half_a_word_is_none() {
    for wrong in [
        "",
        "\n",
        "received",
        "received\n\n",
        "failed full",
        "Received\n",
        "failed",
    ] {
        let word: Result<Verdict, _> = wrong.parse();
        assert_eq!(word, Err(FileError::Unintelligible), "{wrong:?}");
    }
    let digits = "ab".repeat(32);
    for wrong in [
        digits.clone(),
        format!("sha-256 {digits}"),
        format!("sha-256 {digits}ab\n"),
        format!("md5 {digits}\n"),
        format!("sha-256 +{}\n", &digits[1..]),
    ] {
        let word: Result<Sum, _> = wrong.parse();
        assert!(word.is_err(), "{wrong:?}");
    }
}

#[test]
fn a_refusal_says_more_to_our_own_kind() {
    for (reason, condition) in [
        (Reason::Cancelled, DefinedCondition::Forbidden),
        (Reason::Exists, DefinedCondition::Conflict),
        (Reason::Full, DefinedCondition::ResourceConstraint),
        (Reason::Quota, DefinedCondition::ResourceConstraint),
        (Reason::Permission, DefinedCondition::NotAcceptable),
    ] {
        let error = reason.to_stanza_error();
        assert_eq!(error.defined_condition, condition);
        let text = String::from(&Element::from(error));
        let read = text.parse::<Element>().unwrap().try_into().unwrap();
        assert_eq!(Reason::of(&read), Some(reason));
    }
    let others = FileError::NameMissing.to_stanza_error();
    assert_eq!(Reason::of(&others), None);
}

#[test]
fn a_withdrawal_names_the_bytestream_and_the_reason() {
    let withdrawal = Withdrawal {
        stream: "s1".to_owned(),
        reason: Reason::Changed,
    };
    let payloads = withdrawal.clone().payloads();
    let written: Vec<_> = payloads.iter().map(String::from).collect();
    assert_eq!(
        written,
        [
            "<withdraw xmlns='urn:x-tubes:0' reason='changed' stream='s1'/>",
            "<no-copy xmlns='urn:xmpp:hints'/>",
            "<no-store xmlns='urn:xmpp:hints'/>",
        ]
    );
    assert_eq!(Withdrawal::try_from(&payloads[0]), Ok(withdrawal));
    let nameless: Element = "<withdraw xmlns='urn:x-tubes:0'/>".parse().unwrap();
    assert_eq!(
        Withdrawal::try_from(&nameless),
        Err(FileError::StreamMissing)
    );
}

#[test]
fn the_answer_of_a_peer_carries_what_it_wants() {
    let text = format!(
        "<si xmlns='http://jabber.org/protocol/si'>\
         <si-multiple xmlns='http://telepathy.freedesktop.org/xmpp/si-multiple'>\
         <value>http://jabber.org/protocol/ibb</value></si-multiple>\
         <file xmlns='{FILE}'><range offset='5'/></file></si>"
    );
    let answer = SiAnswer::read(&text.parse().unwrap(), FILE).unwrap();
    let read = FileAnswer::read(answer.purpose.as_ref(), 10).unwrap();
    assert_eq!(read.range.offset, 5);
}

#[test]
fn who_takes_files_says_so() {
    let abilities: Abilities = [ns::FILE_TRANSFER].into_iter().collect();
    assert!(abilities.files && !abilities.tubes);
}

fn read(attributes: &str, inner: &str) -> Result<FileOffer, FileError> {
    let file = format!("<file xmlns='{FILE}' {attributes}>{inner}</file>");
    FileOffer::try_from(&file.parse::<Element>().unwrap())
}

fn range(attributes: &str, size: u64) -> Result<FileAnswer, FileError> {
    let file = format!("<file xmlns='{FILE}'><range {attributes}/></file>");
    FileAnswer::read(Some(&file.parse().unwrap()), size)
}

fn contents(attributes: &str, inner: &str) -> Result<Contents, FileError> {
    let contents = format!("<contents xmlns='urn:x-tubes:0' {attributes}>{inner}</contents>");
    Contents::try_from(&contents.parse::<Element>().unwrap())
}
