//! Everything written is read back as it was, through text, whatever stands in it.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on has failed.

use std::time::{Duration, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::prelude::*;
use tubes_protocol::file::{Contents, Date, FileAnswer, FileError, FileOffer, Md5, Range, Sha256};
use tubes_protocol::si::{SiAnswer, SiRequest};
use tubes_protocol::tube::{
    Parameters, Setting, StreamFor, TubeClose, TubeNumber, TubeOffer, Value,
};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;

proptest! {
    #[test]
    fn a_request(
        id in text(30),
        method in vec(text(12), 1..=16),
        (purpose, extensions) in contents(),
        (multiple, ours) in any::<(bool, bool)>(),
    ) {
        let request = SiRequest {
            multiple, ours, extensions, ..SiRequest::new(id, purpose, method)
        };
        let read = SiRequest::try_from(&through_text(request.clone().into()));
        prop_assert_eq!(read, Ok(request));
    }

    #[test]
    fn an_answer(
        methods in vec(text(12), 1..=16),
        (purpose, extensions) in contents(),
        (multiple, ours, silent) in any::<(bool, bool, bool)>(),
    ) {
        let profile = purpose.ns();
        let mut answer = SiAnswer {
            methods, multiple, ours, extensions, purpose: (!silent).then_some(purpose),
        };
        let element = through_text(answer.clone().into());
        if !multiple {
            answer.methods.truncate(1);
        }
        prop_assert_eq!(SiAnswer::read(&element, &profile), Ok(answer));
    }

    #[test]
    fn an_offer(
        number in number(),
        service in text(60),
        list in vec((text(12), value()), 0..8),
    ) {
        let mut parameters = Parameters::default();
        for (name, value) in list {
            parameters.insert(name, value).unwrap();
        }
        let offer = TubeOffer::new(number, service, parameters).unwrap();
        let read = TubeOffer::try_from(&through_text(offer.clone().into()));
        prop_assert_eq!(read, Ok(offer));
    }

    #[test]
    fn a_close_and_a_stream(number in number(), in_room in any::<bool>()) {
        let close = TubeClose { number };
        let setting = if in_room { Setting::Room } else { Setting::Private };
        let stream = StreamFor { number, setting };
        prop_assert_eq!(TubeClose::try_from(&through_text(close.into())), Ok(close));
        prop_assert_eq!(StreamFor::try_from(&through_text(stream.into())), Ok(stream));
        prop_assert_eq!(number.to_string().parse(), Ok(number));
    }

    #[test]
    fn a_file(
        name in text(60),
        (size, md5, sha256) in any::<(u64, Option<[u8; 16]>, Option<[u8; 32]>)>(),
        description in proptest::option::of(text(60)),
        seconds in proptest::option::of(0..=253_402_300_799_u64),
        folder in vec(text(12), 0..8),
    ) {
        let mut offer = FileOffer::new(name, size).unwrap();
        offer.date = seconds.and_then(|after| Date::of(UNIX_EPOCH + Duration::from_secs(after)));
        offer.md5 = md5.map(Md5);
        offer.description = description;
        let read = FileOffer::try_from(&through_text(offer.clone().into()));
        prop_assert_eq!(read, Ok(offer));
        if let Ok(mut contents) = Contents::within(folder) {
            contents.sha256 = sha256.map(Sha256);
            let read = Contents::try_from(&through_text(contents.clone().into()));
            prop_assert_eq!(read, Ok(contents));
        }
    }

    #[test]
    fn a_part(size in any::<u64>(), offset in any::<u64>(), length in any::<Option<u64>>()) {
        let range = Range { offset, length };
        let answer = FileAnswer { range };
        let read = FileAnswer::read(Some(&through_text(answer.into())), size);
        match offset.checked_add(length.unwrap_or(0)) {
            Some(end) if end <= size => prop_assert_eq!(read, Ok(answer)),
            _ => prop_assert_eq!(read, Err(FileError::RangeInvalid)),
        }
    }

    #[test]
    fn whatever_name_a_file_has_can_be_written_or_is_refused(
        name in any::<String>(), folder in vec(any::<String>(), 0..4),
    ) {
        if let Ok(offer) = FileOffer::new(name, 1) {
            let read = FileOffer::try_from(&through_text(offer.clone().into()));
            prop_assert_eq!(read, Ok(offer));
        }
        if let Ok(contents) = Contents::within(folder) {
            let read = Contents::try_from(&through_text(contents.clone().into()));
            prop_assert_eq!(read, Ok(contents));
        }
    }

    #[test]
    fn whatever_may_be_offered_can_be_written(service in any::<String>(), value in any::<String>()) {
        let mut parameters = Parameters::default();
        // Refusing is as good as carrying.
        let _ = parameters.insert(value.clone(), Value::Str(value));
        let number = TubeNumber::from_random(1);
        if let Ok(offer) = TubeOffer::new(number, service, parameters) {
            let read = TubeOffer::try_from(&through_text(offer.clone().into()));
            prop_assert_eq!(read, Ok(offer));
        }
    }
}

/// One to `max` characters that XML can carry, among them those that have to be escaped.
fn text(max: usize) -> impl Strategy<Value = String> {
    let character = prop_oneof![
        Just('<'),
        Just('&'),
        Just('\''),
        Just('"'),
        Just('\n'),
        Just('\r'),
        Just('\t'),
        Just(' '),
        proptest::char::range('!', '~'),
        proptest::char::range('\u{a0}', '\u{d7ff}'),
        proptest::char::range('\u{10000}', '\u{10ffff}'),
    ];
    vec(character, 1..=max).prop_map(String::from_iter)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        vec(any::<u8>(), 1..40).prop_map(Value::Bytes),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(Value::Int),
        text(20).prop_map(Value::Str),
        any::<u32>().prop_map(Value::Uint),
    ]
}

fn number() -> impl Strategy<Value = TubeNumber> {
    any::<u32>().prop_map(TubeNumber::from_random)
}

/// A purpose, and extensions of other namespaces.
fn contents() -> impl Strategy<Value = (Element, Vec<Element>)> {
    let extensions = vec(
        text(20).prop_map(|note| element("urn:example:1", note)),
        0..=16,
    );
    (
        text(20).prop_map(|note| element("urn:example:0", note)),
        extensions,
    )
}

fn element(namespace: &str, note: String) -> Element {
    Element::builder("note", namespace)
        .attr(xml_ncname!("about").into(), &note)
        .append(note)
        .build()
}

fn through_text(element: Element) -> Element {
    String::from(&element).parse().unwrap()
}
