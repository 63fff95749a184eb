//! Tubes on the wire, against telepathy-gabble's stanzas.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on has failed.

use tubes_protocol::disco::{Abilities, service_feature};
use tubes_protocol::ns;
use tubes_protocol::tube::{
    ParameterError, Parameters, Setting, StreamFor, TubeClose, TubeError, TubeNumber, TubeOffer,
    Value,
};
use xmpp_parsers::minidom::Element;

const OFFER: &str = "<tube xmlns='http://telepathy.freedesktop.org/xmpp/tubes' \
    id='2077776406' service='x-echo' type='stream'><parameters>\
    <parameter name='greeting' type='str'>hello</parameter>\
    <parameter name='raw' type='bytes'>AAE=</parameter>\
    <parameter name='n' type='uint'>7</parameter>\
    <parameter name='d' type='int'>-3</parameter>\
    <parameter name='flag' type='bool'>1</parameter>\
    </parameters></tube>";
const AMP: &str = "<amp xmlns='http://jabber.org/protocol/amp'>\
    <rule action='error' condition='deliver-at' value='stored'/>\
    <rule action='error' condition='match-resource' value='exact'/></amp>";
const NO_COPY: &str = "<no-copy xmlns='urn:xmpp:hints'/>";
const NO_STORE: &str = "<no-store xmlns='urn:xmpp:hints'/>";

#[test]
fn writes_the_payloads_of_an_offer() {
    let written: Vec<_> = offer().payloads().iter().map(String::from).collect();
    assert_eq!(written, [OFFER, AMP, NO_COPY, NO_STORE]);
}

#[test]
fn reads_gabbles_offer() {
    assert_eq!(TubeOffer::try_from(&xml(OFFER)).unwrap(), offer());
}

#[test]
fn reads_an_offer_with_empty_parameters_or_none() {
    for inner in ["", "<parameters/>"] {
        let tube = offer_of("id='4294967295' service='x-echo' type='stream'", inner);
        let offer = TubeOffer::try_from(&xml(&tube)).unwrap();
        assert!(offer.parameters().is_empty());
        assert_eq!(offer.number().value(), u32::MAX);
    }
}

#[test]
fn passes_over_parameters_without_name_type_or_content() {
    let read = parameters(
        "<parameter type='str'>x</parameter><parameter name='' type='str'>x</parameter>\
         <parameter name='a'>x</parameter><parameter name='b' type='double'>1.5</parameter>\
         <parameter name='c' type='str'/><parameter name='d' type='bytes'/>\
         <parameter name='e' type='bytes'>?</parameter><parameter name='f' type='int'>x</parameter>\
         <parameter name='g' type='uint'>-1</parameter><parameter name='h' type='bool'>yes</parameter>\
         <parameter name='i' type='uint'>4294967296</parameter><other name='j' type='str'>x</other>\
         <parameter name='k' type='str'>kept</parameter>",
    );
    let read = read.unwrap();
    let list: Vec<_> = read.iter().collect();
    assert_eq!(list, [("k", &Value::Str("kept".to_owned()))]);
}

#[test]
fn reads_every_way_to_write_a_bool() {
    for (text, value) in [("0", false), ("false", false), ("1", true), ("true", true)] {
        let text = format!("<parameter name='x' type='bool'>{text}</parameter>");
        let read = parameters(&text).unwrap();
        assert_eq!(read.get("x"), Some(&Value::Bool(value)), "{text}");
    }
}

#[test]
fn reads_base64_broken_into_lines_and_without_padding() {
    let read = parameters("<parameter name='x' type='bytes'>\n A\n AE </parameter>").unwrap();
    assert_eq!(read.get("x"), Some(&Value::Bytes(vec![0, 1])));
}

#[test]
fn keeps_the_last_value_of_a_name() {
    let read = parameters(
        "<parameter name='x' type='int'>1</parameter><parameter name='x' type='int'>2</parameter>",
    );
    let read = read.unwrap();
    assert_eq!((read.len(), read.get("x")), (1, Some(&Value::Int(2))));
}

#[test]
fn takes_a_number_of_parameters_and_no_more() {
    let with = |count: usize| {
        let list = (0..count).map(|n| format!("<parameter name='{n}' type='int'>1</parameter>"));
        parameters(&list.collect::<String>())
    };
    assert_eq!(with(64).unwrap().len(), 64);
    let why = TubeError::Parameters(ParameterError::TooMany);
    assert_eq!(with(65), Err(why));
}

#[test]
fn takes_a_size_of_parameters_and_no_more() {
    let half = Value::Bytes(vec![0; 32 * 1024 - 1]);
    let mut parameters = Parameters::default();
    parameters.insert("a", half.clone()).unwrap();
    parameters.insert("b", half.clone()).unwrap();
    let more = parameters.insert("c", Value::Bool(true));
    assert_eq!(more, Err(ParameterError::TooLarge));
    // Replacing frees what it replaces.
    assert_eq!(parameters.insert("b", half), Ok(()));
    assert_eq!(parameters.len(), 2);
}

#[test]
fn a_full_list_still_takes_new_values_of_its_names() {
    let mut parameters = Parameters::default();
    for name in 0..64 {
        parameters.insert(name.to_string(), Value::Int(1)).unwrap();
    }
    assert_eq!(parameters.insert("0", Value::Int(2)), Ok(()));
    let more = parameters.insert("64", Value::Int(1));
    assert_eq!(more, Err(ParameterError::TooMany));
}

#[test]
fn takes_no_parameter_that_would_not_arrive() {
    let mut parameters = Parameters::default();
    let mut insert = |name: &str, value| parameters.insert(name, value);
    let text = |text: &str| Value::Str(text.to_owned());
    assert_eq!(insert("", text("x")), Err(ParameterError::NameInvalid));
    assert_eq!(insert("\0", text("x")), Err(ParameterError::NameInvalid));
    let long = "n".repeat(257);
    assert_eq!(insert(&long, text("x")), Err(ParameterError::NameInvalid));
    assert_eq!(insert("n", text("")), Err(ParameterError::ValueEmpty));
    let nothing = Value::Bytes(Vec::new());
    assert_eq!(insert("n", nothing), Err(ParameterError::ValueEmpty));
    assert_eq!(
        insert("n", text("\u{1}")),
        Err(ParameterError::ValueInvalid)
    );
    assert!(parameters.is_empty());
}

#[test]
fn offers_no_service_that_would_not_arrive() {
    for service in ["", "\u{1}", &"s".repeat(257)] {
        let offer = TubeOffer::new(number(1), service, Parameters::default());
        assert_eq!(offer, Err(TubeError::ServiceInvalid), "{service:?}");
    }
}

#[test]
fn refuses_an_offer_that_lacks_something() {
    for (attributes, why) in [
        ("service='x-echo' type='stream'", TubeError::NumberMissing),
        ("id='0' service='x' type='stream'", TubeError::NumberInvalid),
        (
            "id='4294967296' service='x' type='stream'",
            TubeError::NumberInvalid,
        ),
        ("id='x' service='x' type='stream'", TubeError::NumberInvalid),
        ("id='1' type='stream'", TubeError::ServiceMissing),
        ("id='1' service='' type='stream'", TubeError::ServiceInvalid),
    ] {
        let read = TubeOffer::try_from(&xml(&offer_of(attributes, "")));
        assert_eq!(read.as_ref(), Err(&why), "{attributes}");
        assert_eq!(why.to_close(), None);
    }
}

#[test]
fn answers_the_offer_of_a_dbus_tube_with_a_close() {
    let tube = offer_of("id='7' service='org.example.Demo' type='dbus'", "");
    let why = TubeOffer::try_from(&xml(&tube)).unwrap_err();
    assert_eq!(why, TubeError::UnknownType(number(7)));
    assert_eq!(why.to_close(), Some(TubeClose { number: number(7) }));
}

#[test]
fn writes_a_close_that_every_gabble_reads() {
    let written: Vec<_> = TubeClose { number: number(7) }.payloads();
    let written: Vec<_> = written.iter().map(String::from).collect();
    let close = "<close xmlns='http://telepathy.freedesktop.org/xmpp/tubes' id='7' tube='7'/>";
    assert_eq!(written, [close, AMP, NO_COPY, NO_STORE]);
}

#[test]
fn reads_a_close_by_either_attribute() {
    for attributes in ["tube='7'", "id='7'", "tube='7' id='7'", "tube='' id='7'"] {
        let read = TubeClose::try_from(&xml(&tubes("close", attributes)));
        assert_eq!(read, Ok(TubeClose { number: number(7) }), "{attributes}");
    }
    let read = TubeClose::try_from(&xml(&tubes("close", "")));
    assert_eq!(read, Err(TubeError::NumberMissing));
    let read = TubeClose::try_from(&xml(&tubes("close", "tube='x'")));
    assert_eq!(read, Err(TubeError::NumberInvalid));
}

#[test]
fn asks_for_a_stream_as_gabble_does() {
    for (name, setting) in [("stream", Setting::Private), ("muc-stream", Setting::Room)] {
        let number = number(9);
        let stream = StreamFor { number, setting };
        let written = tubes(name, "tube='9'");
        assert_eq!(String::from(&Element::from(stream)), written);
        assert_eq!(StreamFor::try_from(&xml(&written)), Ok(stream));
    }
}

#[test]
fn answers_a_stream_with_an_empty_tube() {
    let answer = "<tube xmlns='http://telepathy.freedesktop.org/xmpp/tubes'/>";
    assert_eq!(String::from(&StreamFor::answer()), answer);
}

#[test]
fn refuses_a_stream_for_no_tube_with_bad_request() {
    for (attributes, why) in [
        ("", TubeError::NumberMissing),
        ("tube='x'", TubeError::NumberInvalid),
        ("tube='-1'", TubeError::NumberInvalid),
        ("tube='0'", TubeError::NumberInvalid),
    ] {
        let read = StreamFor::try_from(&xml(&tubes("stream", attributes)));
        assert_eq!(read, Err(why.clone()), "{attributes}");
        let error = String::from(&Element::from(why.to_stanza_error()));
        let bad = "<error xmlns='jabber:client' type='modify'><bad-request ";
        assert!(
            error.starts_with(bad) && error.contains("<text "),
            "{error}"
        );
    }
}

#[test]
fn reads_no_element_for_another() {
    let tube = xml(&tubes("tube", "id='1' tube='1' service='x' type='stream'"));
    let other = xml("<tube xmlns='urn:example:0' id='1' service='x' type='stream'/>");
    assert_eq!(StreamFor::try_from(&tube), Err(TubeError::Foreign));
    assert_eq!(TubeClose::try_from(&tube), Err(TubeError::Foreign));
    assert_eq!(TubeOffer::try_from(&other), Err(TubeError::Foreign));
}

#[test]
fn draws_numbers_that_every_gabble_takes() {
    for bits in [0, 1, 2, 3, u32::MAX / 2, u32::MAX - 1, u32::MAX] {
        let number = TubeNumber::from_random(bits).value();
        assert!((1..=0x7fff_ffff).contains(&number), "{bits} gave {number}");
    }
    assert_eq!(TubeNumber::from_random(u32::MAX).value(), 0x7fff_ffff);
}

#[test]
fn reads_gabbles_features() {
    let features = [
        "http://jabber.org/protocol/si",
        "http://telepathy.freedesktop.org/xmpp/tubes",
        "http://telepathy.freedesktop.org/xmpp/tubes/stream#x-echo",
        "http://telepathy.freedesktop.org/xmpp/tubes/dbus#org.example.Demo",
    ];
    let abilities: Abilities = features.into_iter().collect();
    assert!(abilities.tubes && abilities.si && !abilities.ours);
    assert_eq!(abilities.services.iter().collect::<Vec<_>>(), ["x-echo"]);
}

#[test]
fn a_service_is_enough_to_do_tubes() {
    let abilities: Abilities = [service_feature("a b&c")].into_iter().collect();
    assert!(abilities.tubes);
    assert!(abilities.services.contains("a b&c"));
}

#[test]
fn recognises_its_own_kind() {
    let abilities: Abilities = [ns::KIND].into_iter().collect();
    assert!(abilities.ours && !abilities.tubes);
}

fn offer() -> TubeOffer {
    let mut parameters = Parameters::default();
    for (name, value) in [
        ("greeting", Value::Str("hello".to_owned())),
        ("raw", Value::Bytes(vec![0, 1])),
        ("n", Value::Uint(7)),
        ("d", Value::Int(-3)),
        ("flag", Value::Bool(true)),
    ] {
        parameters.insert(name, value).unwrap();
    }
    TubeOffer::new(number(2_077_776_406), "x-echo", parameters).unwrap()
}

fn parameters(inner: &str) -> Result<Parameters, TubeError> {
    let inner = format!("<parameters>{inner}</parameters>");
    let tube = offer_of("id='1' service='x-echo' type='stream'", &inner);
    TubeOffer::try_from(&xml(&tube)).map(|offer| offer.parameters().clone())
}

fn offer_of(attributes: &str, inner: &str) -> String {
    format!("<tube xmlns='http://telepathy.freedesktop.org/xmpp/tubes' {attributes}>{inner}</tube>")
}

fn tubes(name: &str, attributes: &str) -> String {
    format!("<{name} xmlns='http://telepathy.freedesktop.org/xmpp/tubes' {attributes}/>")
}

fn number(number: u32) -> TubeNumber {
    TubeNumber::new(number).unwrap()
}

fn xml(text: &str) -> Element {
    text.parse().unwrap()
}
