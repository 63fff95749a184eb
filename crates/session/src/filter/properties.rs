//! What holds whatever is sent, and however it is cut into packets.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::parsed::parsed;
use super::tests::HEADER;
use super::*;

/// What is passed on of all this, cut here.
fn filtered(input: &[u8], cuts: &[Index]) -> (Vec<u8>, Result<(), FilterError>) {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    cuts.extend([0, input.len()]);
    cuts.sort_unstable();
    let mut filter = Filter::new();
    let mut output = Vec::new();
    for range in cuts.windows(2) {
        let result = filter.push(&input[range[0]..range[1]], &mut output);
        if result.is_err() {
            return (output, result);
        }
    }
    (output, Ok(()))
}

/// Within every limit.
fn modest() -> impl Strategy<Value = String> {
    let text = || {
        vec(
            select(vec![
                "a", " ", "\n", "&amp;", "&#xe9;", "\u{e9}", "]]", ";", "'", "\"",
            ]),
            0..8,
        )
        .prop_map(|parts| parts.concat())
    };
    let cdata = text().prop_map(|text| format!("<![CDATA[<a>{text}&]]>"));
    let leaf = prop_oneof![text(), cdata];
    leaf.prop_recursive(6, 48, 6, |inner| {
        (
            name(1..8),
            select(vec!["", " b='/>'", "\tc = \"<\" "]),
            vec(inner, 0..6),
        )
            .prop_map(|(name, attributes, content)| {
                let attributes = attributes.replace('<', "&lt;");
                match content.is_empty() {
                    true => format!("<{name}{attributes}/>"),
                    false => format!("<{name}{attributes}>{}</{name} >", content.concat()),
                }
            })
    })
    .prop_map(|content| format!("<message>{content}</message>"))
}

/// Beyond some limits.
fn excessive() -> impl Strategy<Value = String> {
    let element = (
        prop_oneof![4 => name(1..8), 1 => name(1000..9000)],
        vec((name(2..6), 0..9000usize), 0..4),
        prop_oneof![4 => 0..2usize, 1 => 60..80usize],
        prop_oneof![4 => 0..10usize, 1 => 900..9000usize],
        0..4usize,
    );
    let stanza = vec(element, 0..90).prop_map(|elements| {
        let mut open = String::new();
        let mut close = String::new();
        for (name, attributes, more, namespace, siblings) in elements {
            open.push_str(&format!(
                "<p:{name} xmlns:p='urn:{}'",
                "n".repeat(namespace)
            ));
            for (i, (key, length)) in attributes.iter().enumerate() {
                open.push_str(&format!(" k{i}{key}='{}'", "v".repeat(*length)));
            }
            for i in 0..more {
                open.push_str(&format!(" m{i}=''"));
            }
            open.push_str(&format!(">{}", "<e p:f=''/>t".repeat(siblings)));
            close.insert_str(0, &format!("u</p:{name}>"));
        }
        format!("<message p:a='1' xmlns:p='urn:p' from='b'>{open}{close}</message>")
    });
    vec(stanza, 0..3).prop_map(|stanzas| stanzas.concat())
}

fn name(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    length.prop_map(|length| "n".repeat(length))
}

/// Anything, but more often what looks like XML.
fn rubbish() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => select(vec![
            "<", "</", "<a", ">", "/>", "/", " ", "=", "'", "\"", " b='", "&", ";", "]", "]]>", "?",
            "!", "<![CDATA[", "<?xml", "?>", "<!", "<?", "a", "<a>", "</a>", "<b c='d'>", "\u{e9}",
            "<s:stream>",
        ])
        .prop_map(|part| part.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..3),
    ];
    (any::<bool>(), vec(part, 0..120)).prop_map(|(begun, parts)| {
        let header = if begun { HEADER.as_bytes() } else { b"" };
        [header, &parts.concat()].concat()
    })
}

fn cuts() -> impl Strategy<Value = Vec<Index>> {
    vec(any::<Index>(), 0..20)
}

proptest! {
    #[test]
    fn changes_nothing_that_is_within_the_limits(stanza in modest(), cuts in cuts()) {
        let stream = format!("{HEADER}{stanza}</stream:stream>");
        prop_assert!(parsed(stream.as_bytes()).ends, "{stream}");
        let (output, result) = filtered(stream.as_bytes(), &cuts);
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(String::from_utf8(output).unwrap(), stream);
    }

    #[test]
    fn what_stays_is_well_formed_and_has_as_many_stanzas(stanzas in excessive(), cuts in cuts()) {
        let stream = format!("{HEADER}{stanzas}</stream:stream>");
        let (output, result) = filtered(stream.as_bytes(), &cuts);
        prop_assert_eq!(result, Ok(()));
        let parsed = parsed(&output);
        prop_assert!(parsed.ends, "{:?}", String::from_utf8(output));
        prop_assert_eq!(parsed.stanzas, stanzas.matches("<message").count());
        prop_assert!(parsed.deepest <= DEEPEST);
    }

    #[test]
    fn it_does_not_matter_how_it_arrives(input in rubbish(), cuts in cuts()) {
        let whole = filtered(&input, &[]);
        let most = DEEPEST + usize::from(MOST_RESTARTS);
        prop_assert!(parsed(&whole.0).deepest <= most);
        prop_assert_eq!(filtered(&input, &cuts), whole);
    }

    #[test]
    fn what_it_refuses_the_parser_refuses(input in rubbish()) {
        let (output, result) = filtered(&input, &[]);
        if result == Err(FilterError::Malformed) {
            prop_assert!(!parsed(&output).ends);
        }
    }
}

/// Every way in which the end can fall between or into characters, references and brackets.
#[test]
fn a_large_stanza_is_cut_where_it_may_be() {
    for text in [
        "\u{1f600}&amp;]]",
        "a&#x1f600;\u{e9}",
        "<![CDATA[]]]]]]]\u{e9}]]>",
        "<![CDATA[]]>",
        "<a b='c'/>d",
    ] {
        let repeated = text.repeat(MOST_BYTES / text.len() + 10);
        for shift in 0..text.len() {
            let shift = " ".repeat(shift);
            let stream =
                format!("{HEADER}<message>{shift}{repeated}</message><iq/></stream:stream>");
            let mut output = Vec::new();
            let mut filter = Filter::new();
            for chunk in stream.as_bytes().chunks(65_537) {
                filter.push(chunk, &mut output).unwrap();
            }
            let parsed = parsed(&output);
            assert!(parsed.ends && parsed.stanzas == 2, "{text} {}", shift.len());
            assert!(output.len() < MOST_BYTES + HEADER.len() + 100);
            assert!(filter.losses() > 0);
        }
    }
}
