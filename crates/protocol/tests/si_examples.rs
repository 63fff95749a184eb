//! Stream Initiation on the wire, against telepathy-gabble's stanzas.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on has failed.

use tubes_protocol::ns;
use tubes_protocol::si::{SiAnswer, SiError, SiRequest};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::StanzaError;

const FORM: &str = "<feature xmlns='http://jabber.org/protocol/feature-neg'>\
    <x xmlns='jabber:x:data' type='form'>\
    <field var='stream-method' type='list-single'>\
    <option><value>http://jabber.org/protocol/bytestreams</value></option>\
    <option><value>http://jabber.org/protocol/ibb</value></option>\
    </field></x></feature>";
const MULTIPLE: &str = "<si-multiple xmlns='http://telepathy.freedesktop.org/xmpp/si-multiple'/>";
const STREAM: &str =
    "<stream xmlns='http://telepathy.freedesktop.org/xmpp/tubes' tube='2077776406'/>";
const SUBMIT: &str = "<feature xmlns='http://jabber.org/protocol/feature-neg'>\
    <x xmlns='jabber:x:data' type='submit'>\
    <field var='stream-method'><value>http://jabber.org/protocol/ibb</value></field>\
    </x></feature>";
const SEVERAL: &str = "<si-multiple xmlns='http://telepathy.freedesktop.org/xmpp/si-multiple'>\
    <value>http://jabber.org/protocol/bytestreams</value>\
    <value>http://jabber.org/protocol/ibb</value></si-multiple>";
const TUBE: &str = "<tube xmlns='http://telepathy.freedesktop.org/xmpp/tubes'/>";
const KIND: &str = "<kind xmlns='urn:x-tubes:0'/>";
const EXTRA: &str = "<extra xmlns='urn:example:0'/>";

#[test]
fn writes_a_request_as_gabble_does() {
    let mut request = SiRequest::new("a-1", xml(STREAM), methods());
    request.extensions.push(xml(EXTRA));
    let expected = request_of(&[FORM, MULTIPLE, STREAM, KIND, EXTRA]);
    assert_written(&request.into(), &expected);
}

#[test]
fn writes_an_answer_to_a_request_that_can_fall_back() {
    let mut answer = answer(true);
    answer.extensions.push(xml(EXTRA));
    let expected = answer_of(&[SEVERAL, TUBE, KIND, EXTRA]);
    assert_written(&answer.into(), &expected);
}

#[test]
fn writes_a_classic_answer_with_one_method() {
    let mut answer = answer(false);
    answer.methods.reverse();
    let expected = answer_of(&[SUBMIT, TUBE, KIND]);
    assert_written(&answer.into(), &expected);
}

#[test]
fn reads_gabbles_request() {
    let request = read(&request_of(&[FORM, MULTIPLE, STREAM])).unwrap();
    let expected = SiRequest {
        ours: false,
        ..SiRequest::new("a-1", xml(STREAM), methods())
    };
    assert_eq!(request, expected);
}

#[test]
fn reads_a_request_in_any_order() {
    let request = read(&request_of(&[EXTRA, KIND, STREAM, MULTIPLE, FORM])).unwrap();
    assert_eq!(request.purpose, xml(STREAM));
    assert_eq!(request.extensions, [xml(EXTRA)]);
    assert!(request.ours && request.multiple);
}

#[test]
fn reads_a_request_that_cannot_fall_back() {
    assert!(!read(&request_of(&[FORM, STREAM])).unwrap().multiple);
}

#[test]
fn passes_over_fields_of_other_names_and_options_without_value() {
    let form = FORM.replace(
        "<field var='stream-method' type='list-single'>",
        "<field var='other' type='boolean'/><field var='stream-method' type='list-single'>\
         <option/><option><value/></option>",
    );
    assert_eq!(
        read(&request_of(&[&form, STREAM])).unwrap().methods,
        methods()
    );
}

#[test]
fn refuses_what_lacks_something_with_bad_request() {
    let no_field = FORM.replace("stream-method", "other");
    let no_list = FORM.replace("list-single", "text-single");
    let no_form = FORM.replace("jabber:x:data", "urn:example:1");
    let no_options = FORM.replace("option>", "choice>");
    let complete = request_of(&[FORM, STREAM]);
    for request in [
        request_of(&[STREAM]),
        request_of(&[&no_field, STREAM]),
        request_of(&[&no_list, STREAM]),
        request_of(&[&no_form, STREAM]),
        request_of(&[&no_options, STREAM]),
        complete.replace(" id='a-1'", ""),
        complete.replace("a-1", ""),
        complete.replace("a-1", &"a".repeat(257)),
        complete.replace(" profile='http://telepathy.freedesktop.org/xmpp/tubes'", ""),
    ] {
        let why = read(&request).unwrap_err();
        assert!(matches!(why, SiError::Malformed(_)), "{request}");
        let error = error(&why);
        assert!(error.starts_with("<error xmlns='jabber:client' type='modify'><bad-request "));
        assert!(error.contains("failed to parse SI request"), "{error}");
    }
}

#[test]
fn takes_a_number_of_methods_and_no_more() {
    let option = "<option><value>urn:example:2</value></option>";
    let with = |count: usize| {
        let form = FORM.replace("</field>", &format!("{}</field>", option.repeat(count)));
        read(&request_of(&[&form, STREAM]))
    };
    assert_eq!(with(14).unwrap().methods.len(), 16);
    assert!(matches!(with(15), Err(SiError::Malformed(_))));
}

#[test]
fn takes_a_number_of_extensions_and_no_more() {
    let with = |count: usize| read(&request_of(&[FORM, STREAM, &EXTRA.repeat(count)]));
    assert_eq!(with(16).unwrap().extensions.len(), 16);
    assert!(matches!(with(17), Err(SiError::Malformed(_))));
}

#[test]
fn refuses_a_profile_without_its_element() {
    let why = read(&request_of(&[FORM, MULTIPLE])).unwrap_err();
    assert_eq!(
        error(&why),
        "<error xmlns='jabber:client' type='modify'>\
         <bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         <bad-profile xmlns='http://jabber.org/protocol/si'/></error>"
    );
}

#[test]
fn a_form_is_no_purpose_even_if_the_profile_says_so() {
    let request = request_of(&[FORM, MULTIPLE]).replace(ns::TUBES, ns::FEATURE_NEG);
    assert_eq!(read(&request), Err(SiError::BadProfile));
}

#[test]
fn says_that_no_transport_is_in_common_as_gabble_does() {
    assert_eq!(
        error(&SiError::NoValidStreams),
        "<error xmlns='jabber:client' type='cancel'>\
         <bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         <no-valid-streams xmlns='http://jabber.org/protocol/si'/></error>"
    );
}

#[test]
fn recognises_that_no_transport_is_in_common() {
    let theirs = xml("<error xmlns='jabber:client' type='cancel' code='400'>\
         <bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         <no-valid-streams xmlns='http://jabber.org/protocol/si'/></error>");
    let theirs = StanzaError::try_from(theirs).unwrap();
    assert!(SiError::is_no_valid_streams(&theirs));
    assert!(!SiError::is_no_valid_streams(
        &SiError::Declined.to_stanza_error()
    ));
}

#[test]
fn declines_in_gabbles_words() {
    let error = error(&SiError::Declined);
    assert!(error.contains("type='cancel'><forbidden "), "{error}");
    assert!(error.contains(">Offer Declined</text>"), "{error}");
}

#[test]
fn reads_gabbles_answer() {
    let read = SiAnswer::read(&xml(&answer_of(&[SEVERAL, TUBE])), ns::TUBES).unwrap();
    let expected = SiAnswer {
        ours: false,
        ..answer(true)
    };
    assert_eq!(read, expected);
}

#[test]
fn reads_the_answer_of_a_peer_that_ignores_si_multiple() {
    let read = SiAnswer::read(&xml(&answer_of(&[SUBMIT])), ns::TUBES).unwrap();
    let expected = SiAnswer {
        methods: vec![ns::IBB.to_owned()],
        purpose: None,
        ours: false,
        ..answer(false)
    };
    assert_eq!(read, expected);
}

#[test]
fn prefers_the_form_that_can_fall_back() {
    let read = SiAnswer::read(&xml(&answer_of(&[SUBMIT, SEVERAL])), ns::TUBES).unwrap();
    assert_eq!(read.methods, methods());
}

#[test]
fn reads_an_answer_that_chooses_nothing_of_several() {
    let read = SiAnswer::read(&xml(&answer_of(&[MULTIPLE])), ns::TUBES).unwrap();
    assert!(read.methods.is_empty());
}

#[test]
fn does_not_take_an_extension_for_the_profiles_answer() {
    let read = SiAnswer::read(&xml(&answer_of(&[SEVERAL, EXTRA])), ns::TUBES).unwrap();
    assert_eq!(read.purpose, None);
    assert_eq!(read.extensions, [xml(EXTRA)]);
}

#[test]
fn refuses_an_answer_without_a_method() {
    let nothing = SUBMIT.replace("http://jabber.org/protocol/ibb", "");
    for answer in [answer_of(&[TUBE]), answer_of(&[&nothing, TUBE])] {
        let read = SiAnswer::read(&xml(&answer), ns::TUBES);
        assert!(matches!(read, Err(SiError::Malformed(_))), "{answer}");
    }
}

#[test]
fn refuses_an_answer_with_too_many_methods() {
    let several = SEVERAL.replace("</si-multiple>", &"<value>x</value>".repeat(15));
    let answer = answer_of(&[&(several + "</si-multiple>")]);
    let read = SiAnswer::read(&xml(&answer), ns::TUBES);
    assert!(matches!(read, Err(SiError::Malformed(_))));
}

#[test]
fn other_elements_are_no_stream_initiation() {
    let file = xml("<file xmlns='http://jabber.org/protocol/si'/>");
    assert!(!SiRequest::is(&file));
    assert!(SiRequest::try_from(&file).is_err());
    assert!(SiAnswer::read(&file, ns::TUBES).is_err());
}

/// Compares the trees, and the text but for the order of attributes, which means nothing.
fn assert_written(element: &Element, expected: &str) {
    assert_eq!(*element, xml(expected));
    assert_eq!(String::from(element), String::from(&xml(expected)));
}

fn methods() -> Vec<String> {
    vec![ns::BYTESTREAMS.to_owned(), ns::IBB.to_owned()]
}

fn answer(multiple: bool) -> SiAnswer {
    SiAnswer {
        methods: methods(),
        multiple,
        purpose: Some(xml(TUBE)),
        ours: true,
        extensions: Vec::new(),
    }
}

fn read(request: &str) -> Result<SiRequest, SiError> {
    SiRequest::try_from(&xml(request))
}

fn request_of(children: &[&str]) -> String {
    format!(
        "<si xmlns='http://jabber.org/protocol/si' id='a-1' \
         profile='http://telepathy.freedesktop.org/xmpp/tubes'>{}</si>",
        children.concat()
    )
}

fn answer_of(children: &[&str]) -> String {
    let children = children.concat();
    format!("<si xmlns='http://jabber.org/protocol/si'>{children}</si>")
}

fn error(why: &SiError) -> String {
    String::from(&Element::from(why.to_stanza_error()))
}

fn xml(text: &str) -> Element {
    text.parse().unwrap()
}
