//! What is passed on, word for word.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::tag::{LONGEST_NAME, LONGEST_NAMESPACE, LONGEST_VALUE, MOST_ATTRIBUTES};
use super::*;

pub(super) const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' id='a>b' version='1.0'>";

/// What becomes of this, behind a header, in a stream.
fn passed(stanzas: &str) -> String {
    let mut filter = Filter::new();
    let mut output = Vec::new();
    filter.push(HEADER.as_bytes(), &mut output).unwrap();
    output.clear();
    filter.push(stanzas.as_bytes(), &mut output).unwrap();
    assert!(filter.holds_nothing());
    String::from_utf8(output).unwrap()
}

/// How the filter fails on this, and what it has passed on by then.
fn failure(input: &str) -> (FilterError, String) {
    let mut filter = Filter::new();
    let mut output = Vec::new();
    let error = filter.push(input.as_bytes(), &mut output).unwrap_err();
    let again = filter.push(b"<a/>", &mut Vec::new());
    assert_eq!(again, Err(error), "it fails for good");
    (error, String::from_utf8(output).unwrap())
}

fn oversized(stanza: &str) {
    let (error, _) = failure(&format!("{HEADER}{stanza}"));
    assert_eq!(error, FilterError::Oversized, "{stanza:.40}");
}

#[test]
fn passes_on_what_a_parser_can_take() {
    for stanza in [
        " \n",
        "<a/>",
        "<a b=\"'>'\" c='\">' d = 'x' ><b\n/>text</a >",
        "<a>&lt;b&gt; &#x41; ]] ></a>",
        "<a><![CDATA[ <b> ]] ></a> ]]]]></a>",
        "<a>\u{e9}\u{1f600}</a>",
        "<p:a xmlns:p='urn:p' p:b=''/>",
    ] {
        assert_eq!(passed(stanza), stanza);
    }
}

#[test]
fn counts_a_failure_to_resume_that_came_without_a_count() {
    let prosodys = "<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";
    let counted = prosodys.replace("<failed", "<failed h='0'");
    assert_eq!(passed(prosodys), counted);
    assert_eq!(passed(&counted), counted);
    assert_eq!(passed("<failed/>"), "<failed h='0'/>");
    assert_eq!(passed("<iq><failed/></iq>"), "<iq><failed/></iq>");
    let read: xmpp_parsers::minidom::Element = counted.parse().unwrap();
    assert!(xmpp_parsers::sm::Failed::try_from(read).is_ok());
}

#[test]
fn leaves_out_what_is_too_deep() {
    let nested = |levels: usize| {
        format!(
            "<message>{}hi{}</message><iq/>",
            "<a>".repeat(levels),
            "</a>".repeat(levels)
        )
    };
    assert_eq!(passed(&nested(64)), nested(64));
    let cut = nested(64).replace("hi", "");
    assert_eq!(passed(&nested(65)), cut);
    assert_eq!(passed(&nested(5000)), cut);
}

#[test]
fn leaves_out_an_element_without_end_tag_that_is_too_deep() {
    let open = format!("<message>{}", "<a>".repeat(64));
    let close = format!("{}</message>", "</a>".repeat(64));
    assert_eq!(
        passed(&format!("{open}<b/>x<b c='/'/>{close}")),
        format!("{open}x{close}")
    );
}

#[test]
fn leaves_out_an_attribute_that_is_too_long() {
    let long = "x".repeat(LONGEST_VALUE + 1);
    assert_eq!(
        passed(&format!(
            "<message id='{long}' to = '{long}'\n from='b'><q a='{long}' b=''/>hi</message>"
        )),
        "<message\n from='b'><q b=''/>hi</message>"
    );
    let name = "x".repeat(LONGEST_NAME + 1);
    assert_eq!(
        passed(&format!("<message {name}='1' b='2'/>")),
        "<message b='2'/>"
    );
    let whole = format!("<message id='{}'/>", &long[1..]);
    assert_eq!(passed(&whole), whole);
}

#[test]
fn measures_a_value_by_what_it_stands_for() {
    let short = format!("<message id='{}'/>", "&apos;".repeat(2000));
    assert_eq!(passed(&short), short);
    let long = format!("<message id='{}'/>", "&apos;".repeat(2001));
    assert_eq!(passed(&long), "<message/>");
}

#[test]
fn leaves_out_the_attributes_that_are_too_many() {
    let attributes = |count: usize| -> String { (0..count).map(|i| format!(" a{i}=''")).collect() };
    let many = format!(
        "<message{}><q{}/></message>",
        attributes(MOST_ATTRIBUTES),
        attributes(MOST_ATTRIBUTES)
    );
    assert_eq!(passed(&many), many);
    assert_eq!(
        passed(&format!(
            "<message{}><q{}/></message>",
            attributes(MOST_ATTRIBUTES + 1),
            attributes(500)
        )),
        many
    );
}

#[test]
fn keeps_the_sender_whatever_stands_before_it() {
    let many: String = (0..500).map(|i| format!(" a{i}='{i:02000}'")).collect();
    let id = "&apos;".repeat(2000);
    let address = "x".repeat(3071);
    let stanza = format!(
        "<message{many} id='{id}' to='{address}'{} from='{address}'>hi</message>",
        " ".repeat(500_000)
    );
    let passed = passed(&stanza);
    assert!(passed.contains(&format!(" from='{address}'>hi")));
    assert!(passed.len() < 100_000);
}

#[test]
fn leaves_out_an_element_whose_name_or_namespace_is_too_long() {
    let name = "x".repeat(LONGEST_NAME + 1);
    let namespace = "x".repeat(LONGEST_NAMESPACE + 1);
    for element in [
        format!("<{name}>b</{name}>"),
        format!("<q xmlns='{namespace}'><b/></q>"),
        format!("<p:q xmlns:p='{namespace}'/>"),
        format!("<q xmlns:{name}=''/>"),
    ] {
        assert_eq!(
            passed(&format!("<message>a{element}c</message>")),
            "<message>ac</message>"
        );
    }
}

#[test]
fn a_stanza_outlives_a_prefix_that_is_too_long() {
    let namespace = "x".repeat(LONGEST_NAMESPACE + 1);
    assert_eq!(
        passed(&format!(
            "<message p:a='' from='b' xmlns:p='{namespace}' xml:lang='en'><p:c/>d</message><iq/>"
        )),
        "<message from='b' xml:lang='en'></message><iq/>"
    );
    assert_eq!(
        passed(&format!("<iq id='1' xmlns:p='{namespace}'/><iq>a</iq>")),
        "<iq id='1'/><iq>a</iq>"
    );
}

#[test]
fn never_makes_a_stanza_another_one() {
    let long = "x".repeat(9000);
    oversized(&format!("<{long}/>"));
    oversized(&format!("<message from='{long}'/>"));
    oversized(&format!("<message xmlns='{long}'/>"));
    oversized(&format!("<p:message xmlns:p='{long}'/>"));
    let (error, _) = failure(&format!("<stream:stream xmlns:stream='{long}'>"));
    assert_eq!(error, FilterError::Oversized);
}

#[test]
fn passes_on_just_so_many_bytes_and_not_one_more() {
    let stanza = |bytes: usize| {
        let (open, close) = ("<message><body>", "</body></message>");
        let text = "x".repeat(bytes - open.len() - close.len());
        format!("{open}{text}{close}")
    };
    let most = 512 * 1024;
    for whole in [stanza(most - 1), stanza(most)] {
        assert!(passed(&whole) == whole);
    }
    let cut = stanza(most + 1) + "<iq/>";
    assert!(passed(&cut) == stanza(most) + "<iq/>");
}

#[test]
fn counts_the_tags_of_a_stanza() {
    // Few enough not to be left out for their number.
    let name = "a".repeat(100);
    let element = format!("<{name}></{name}>");
    let fit = (MOST_BYTES - "<iq></iq>".len()) / element.len();
    let stanza = |count: usize| format!("<iq>{}</iq>", element.repeat(count));
    assert!(passed(&stanza(fit + 1)) == stanza(fit));
}

/// XEP-0047 allows blocks of 65535 bytes, and nobody forbids spaces.
#[test]
fn the_largest_block_of_in_band_data_fits_easily() {
    let base64 = "A".repeat(65535_usize.div_ceil(3) * 4);
    let lines = base64.as_bytes().chunks(64);
    let lines: Vec<_> = lines
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let block = format!(
        "<iq><data xmlns='http://jabber.org/protocol/ibb'>{}</data></iq>",
        lines.join("\r\n        ")
    );
    assert!(passed(&block) == block);
    assert!(block.len() * 4 < MOST_BYTES);
}

#[test]
fn cuts_a_stanza_that_is_too_large_and_ends_it() {
    let text = "x".repeat(3 * MOST_BYTES);
    let passed = passed(&format!(
        "<message><body>{text}<a/></body><b>c</b></message><iq>d</iq>"
    ));
    assert!(passed.len() < MOST_BYTES + 100);
    assert!(passed.starts_with("<message><body>x"));
    assert!(passed.ends_with("x</body></message><iq>d</iq>"));
}

#[test]
fn cuts_a_stanza_that_is_too_large_without_any_text() {
    let element = format!("<a b='{}'/>", "x".repeat(7000));
    let passed = passed(&format!("<message>{}</message>", element.repeat(400)));
    assert!(passed.len() < MOST_BYTES + 100);
    assert!(passed.ends_with("'/></message>"));
}

#[test]
fn leaves_out_the_elements_that_are_too_many() {
    let passed = passed(&format!(
        "<message>{}</message><iq><a/></iq>",
        "<a/>".repeat(2 * MOST_ELEMENTS)
    ));
    let most = "<a/>".repeat(MOST_ELEMENTS);
    assert_eq!(passed, format!("<message>{most}</message><iq><a/></iq>"));
}

#[test]
fn counts_what_it_leaves_out() {
    let mut filter = Filter::new();
    filter.push(HEADER.as_bytes(), &mut Vec::new()).unwrap();
    filter
        .push(b"<message><a/></message>", &mut Vec::new())
        .unwrap();
    assert_eq!(filter.losses(), 0);
    let long = format!("<message a='{}'/>", "x".repeat(9000));
    filter.push(long.as_bytes(), &mut Vec::new()).unwrap();
    assert_eq!(filter.losses(), 1);
}

#[test]
fn begins_again_with_a_new_stream() {
    let long = "<a>".repeat(64);
    for header in [HEADER, &HEADER[21..]] {
        let restarted = format!("<success/>{header}<message>{long}");
        let mut filter = Filter::new();
        let mut output = Vec::new();
        filter.push(HEADER.as_bytes(), &mut output).unwrap();
        output.clear();
        filter.push(restarted.as_bytes(), &mut output).unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), restarted);
    }
}

#[test]
fn does_not_begin_again_for_ever() {
    let (error, passed) = failure(&"<stream:stream>".repeat(5000));
    assert_eq!(error, FilterError::Malformed);
    assert!(passed.matches('<').count() < 10);
}

#[test]
fn fails_on_what_is_no_xml_of_xmpp_and_shows_it_to_the_parser() {
    for (rubbish, shown) in [
        ("HTTP/1.1</", "HTTP/1.1</"),
        ("<!DOCTYPE x><a/>", "<!D"),
        ("<a><!-- b --></a>", "<a><!-"),
        ("<a><?php ?></a>", "<a><?p"),
        ("<a><b><?xml ?></b></a>", "<a><b><?xml "),
        ("<a b=c>", "<a b=c"),
        ("<a b='1'c='2'>", "<a b='1'c"),
        ("<a b='<'>", "<a b='<"),
        ("<a <b>", "<a <"),
        ("<a/b>", "<a/b"),
        ("< a>", "< "),
        ("<a></a<b>", "<a></a<"),
        ("<a b='&'>", "<a b='&'"),
    ] {
        assert_eq!(
            failure(rubbish),
            (FilterError::Malformed, shown.to_owned()),
            "{rubbish}"
        );
    }
}
