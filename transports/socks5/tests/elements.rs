//! What is said in stanzas, as XEP-0065 and Gabble have it; what is tolerated; what is refused.
#![allow(clippy::unwrap_used, reason = "this is a test")]

use tubes_socks5::{Destination, Query, Secret, Streamhost, Used, streamhosts};
use tubes_transport::StreamId;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;

fn element(text: &str) -> Element {
    text.replace("NS", "xmlns='http://jabber.org/protocol/bytestreams'")
        .parse()
        .unwrap()
}

fn host(jid: &str, host: &str, port: u16) -> Streamhost {
    Streamhost {
        jid: Jid::new(jid).unwrap(),
        host: host.to_owned(),
        port,
    }
}

#[test]
fn a_query_lists_the_hosts_best_first() {
    let query = Query {
        stream: StreamId::from("s1"),
        streamhosts: vec![
            host("fernand@h/R", "fd00::2", 45411),
            host("fernand@h/R", "192.0.2.2", 45411),
            host("proxy.h", "203.0.113.9", 5000),
        ],
        destination: None,
        secret: None,
    };
    let expected = element(
        "<query NS sid='s1' mode='tcp'>\
         <streamhost jid='fernand@h/R' host='fd00::2' port='45411'/>\
         <streamhost jid='fernand@h/R' host='192.0.2.2' port='45411'/>\
         <streamhost jid='proxy.h' host='203.0.113.9' port='5000'/></query>",
    );
    assert_eq!(query.to_element(), expected);
    assert_eq!(Query::read(&expected).unwrap(), query);
}

#[test]
fn a_query_without_hosts_is_one() {
    let query = Query::read(&element("<query NS sid='s1'/>")).unwrap();
    assert!(query.streamhosts.is_empty());
}

#[test]
fn hosts_that_cannot_be_used_are_left_out() {
    let query = element(
        "<query NS sid='s1' mode='tcp'>\
         <streamhost jid='a@h/R' zeroconf='_jabber.bytestreams'/>\
         <streamhost jid='a@h/R' host='192.0.2.1' port='1' zeroconf='x'/>\
         <streamhost host='192.0.2.1' port='1'/>\
         <streamhost jid='a@h/R' port='1'/>\
         <streamhost jid='a@h/R' host='192.0.2.1'/>\
         <streamhost jid='a@h/R' host='192.0.2.1' port='0'/>\
         <streamhost jid='a@h/R' host='192.0.2.1' port='65536'/>\
         <streamhost jid='a@h/R' host='' port='1'/>\
         <other/>\
         <streamhost jid='a@h/R' host='192.0.2.1' port='1080'/></query>",
    );
    assert_eq!(
        Query::read(&query).unwrap().streamhosts,
        [host("a@h/R", "192.0.2.1", 1080)]
    );
}

#[test]
fn a_query_for_anything_but_tcp_is_refused() {
    for query in [
        "<query NS sid='s1' mode='udp'/>",
        "<query NS mode='tcp'/>",
        "<query NS sid='s1' dstaddr='no hash'/>",
        "<activate NS sid='s1'/>",
        "<query xmlns='jabber:iq:roster' sid='s1'/>",
    ] {
        assert!(Query::read(&element(query)).is_err(), "{query}");
    }
}

#[test]
fn no_list_is_longer_than_anybody_needs() {
    let one = "<streamhost jid='a@h/R' host='192.0.2.1' port='1'/>";
    let query = element(&format!("<query NS sid='s1'>{}</query>", one.repeat(1000)));
    assert_eq!(Query::read(&query).unwrap().streamhosts.len(), 16);
}

#[test]
fn a_room_names_what_to_ask_for() {
    let digits = "0123456789abcdef0123456789abcdef01234567";
    let query = element(&format!(
        "<query NS sid='s1' mode='tcp' dstaddr='{digits}'/>"
    ));
    let read = Query::read(&query).unwrap();
    assert_eq!(read.destination, Destination::parse(digits.as_bytes()));
    assert_eq!(read.to_element(), query);
}

#[test]
fn our_own_kind_is_told_a_secret() {
    let text = "<query NS sid='s1' mode='tcp'>\
        <secret xmlns='urn:x-tubes:0'>000102030405060708090a0b0c0d0e0f</secret></query>";
    let query = Query::read(&element(text)).unwrap();
    let bytes: [u8; 16] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    assert_eq!(query.secret, Some(Secret::new(bytes)));
    assert_eq!(query.to_element(), element(text));
    for unreadable in [
        "",
        "00",
        "+00102030405060708090a0b0c0d0e0f",
        &"0".repeat(33),
    ] {
        let text = format!(
            "<query NS sid='s1'><secret xmlns='urn:x-tubes:0'>{unreadable}</secret></query>"
        );
        assert_eq!(
            Query::read(&element(&text)).unwrap().secret,
            None,
            "{unreadable}"
        );
    }
}

#[test]
fn the_choice_names_a_host() {
    let used = element("<query NS><streamhost-used jid='proxy.h'/></query>");
    let jid = Jid::new("proxy.h").unwrap();
    assert_eq!(Used { jid }.to_element(), used);
    // A sid, as XEP-0065 has it, is as welcome.
    let with_sid = element("<query NS sid='s1'><streamhost-used jid='proxy.h'/></query>");
    assert_eq!(Used::read(&with_sid), Used::read(&used));
    for nothing in [
        "<query NS/>",
        "<query NS><streamhost-used/></query>",
        "<query NS><streamhost-used jid=''/></query>",
        "<other NS><streamhost-used jid='proxy.h'/></other>",
    ] {
        assert!(Used::read(&element(nothing)).is_err(), "{nothing}");
    }
}

#[test]
fn a_proxy_says_where_it_listens() {
    let answer =
        element("<query NS><streamhost jid='proxy.h' host='203.0.113.9' port='5000'/></query>");
    assert_eq!(streamhosts(&answer), [host("proxy.h", "203.0.113.9", 5000)]);
}
