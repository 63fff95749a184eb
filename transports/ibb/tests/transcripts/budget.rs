//! How much of what a peer sends waits to be read, over all of its streams.

use tubes_ibb::Fault;
use tubes_transport::{Kind, Share, Stanzas};
use xmpp_parsers::jid::Jid;
use xmpp_parsers::stanza_error::DefinedCondition;

use super::{Peer, element, granted, refused};

/// A block of 48 KiB.
fn data(seq: usize) -> String {
    format!("<data seq='{seq}'>{}</data>", "A".repeat(64 * 1024))
}

/// Of two contacts: what each holds, and that of a stream of the first one.
fn shares() -> (Share, Share, Share) {
    let (stanzas, _, _) = Stanzas::pair();
    let share = |peer: &str, stream: &str| {
        let peer: Jid = peer.parse().unwrap();
        stanzas.claim(peer, stream.into()).unwrap().share()
    };
    let fernand = "fernand@tubes.example/lab";
    let other = share("fernand@tubes.example/home", "s1");
    (
        other,
        share("alice@tubes.example/desk", "s1"),
        share(fernand, "s1"),
    )
}

const MEBIBYTE: usize = 1024 * 1024;

#[test]
fn whoever_holds_much_elsewhere_is_acknowledged_what_was_read() {
    let (mut elsewhere, others, here) = shares();
    elsewhere.grow(9 * MEBIBYTE).unwrap();
    let mut peer = Peer::with(Kind::Ours, 65535, here);
    assert_eq!(peer.ask(&data(0)), []);
    assert_eq!(peer.ask(&data(1)), []);
    peer.machine.consume(48 * 1024);
    assert_eq!(peer.answers(), granted(1));
    peer.read();
    assert_eq!(peer.answers(), granted(2));
    let mut other = Peer::with(Kind::Ours, 65535, others);
    assert_eq!(other.ask(&data(0)), granted(1));
    drop(elsewhere);
    assert_eq!(peer.ask(&data(2)), granted(3));
}

#[test]
fn what_is_beyond_the_budget_of_all_streams_is_refused_and_ends_one() {
    let (mut elsewhere, others, here) = shares();
    elsewhere.grow(32 * MEBIBYTE - 50 * 1024).unwrap();
    let mut peer = Peer::with(Kind::Ours, 65535, here);
    assert_eq!(peer.ask(&data(0)), []);
    let answer = peer.ask(&data(1));
    let refused = refused(2, DefinedCondition::ResourceConstraint);
    // What came before is good, and nothing is left to hold back.
    assert_eq!(answer, [refused, granted(1)].concat());
    let abort = "<close ><abort xmlns='urn:x-tubes:0'/></close>";
    assert_eq!(peer.says(), [element(abort)]);
    assert_eq!(peer.read().len(), 48 * 1024);
    assert!(matches!(peer.fault(), Fault::Violated(_)));
    let mut other = Peer::with(Kind::Ours, 65535, others);
    assert_eq!(other.ask(&data(0)), granted(1));
}

#[test]
fn messages_beyond_the_budget_end_the_stream_with_an_error() {
    let (mut elsewhere, _, here) = shares();
    elsewhere.grow(32 * MEBIBYTE - 50 * 1024).unwrap();
    let mut peer = Peer::with(Kind::Other, 65535, here);
    peer.tell(&data(0));
    assert_eq!(peer.says(), []);
    peer.tell(&data(1));
    assert_eq!(peer.says(), [element("<close />")]);
    assert_eq!(peer.read().len(), 48 * 1024);
    assert!(matches!(peer.fault(), Fault::Violated(_)));
}

#[test]
fn what_is_read_or_thrown_away_counts_no_more() {
    let (mut elsewhere, _, here) = shares();
    let most = 32 * MEBIBYTE;
    let mut peer = Peer::with(Kind::Ours, 65535, here);
    peer.ask(&data(0));
    assert!(elsewhere.grow(most).is_err());
    peer.read();
    assert!(elsewhere.grow(most).is_ok());
    elsewhere.shrink(most);
    peer.ask(&data(1));
    assert!(elsewhere.grow(most).is_err());
    peer.machine.release();
    assert!(elsewhere.grow(most).is_ok());
}
