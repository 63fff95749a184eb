//! How streams end and break.

use std::time::{Duration, Instant};

use tubes_ibb::{Fault, Reading};
use tubes_transport::{Gone, Kind};
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::{Peer, element, granted, refused};

#[test]
fn closes_after_everything_is_acknowledged() {
    let mut peer = Peer::new(Kind::Ours, 4096);
    peer.machine.write(b"a").unwrap();
    assert_eq!(peer.says().len(), 1);
    peer.machine.shut_down();
    assert_eq!(peer.says(), []);
    peer.ack();
    assert_eq!(peer.says(), [element("<close />")]);
    assert_eq!(peer.machine.is_shut_down(), Ok(false));
    peer.machine.handle_said();
    assert_eq!(peer.machine.is_shut_down(), Ok(true));
    // The peer goes on until it answers.
    assert_eq!(peer.ask("<data seq='0'>YQ==</data>"), granted(1));
    assert_eq!(peer.read(), b"a");
    assert_eq!(peer.machine.read(), Reading::Empty);
    peer.machine.handle_close_answered(Ok(()));
    assert_eq!(peer.machine.read(), Reading::Ended);
    assert!(peer.machine.is_over());
}

#[test]
fn holds_the_answer_to_a_close_of_our_kind_until_its_own_data_is_out() {
    let mut peer = Peer::new(Kind::Ours, 4096);
    assert_eq!(peer.ask("<close />"), []);
    assert_eq!(peer.machine.read(), Reading::Ended);
    peer.machine.write(b"late").unwrap();
    peer.machine.shut_down();
    assert_eq!(peer.says().len(), 1);
    assert_eq!(peer.answers(), []);
    peer.ack();
    assert_eq!(peer.answers(), granted(1));
    // The answer is our close.
    assert_eq!(peer.says(), []);
    assert_eq!(peer.machine.is_shut_down(), Ok(true));
    assert!(peer.machine.is_over());
}

#[test]
fn a_close_that_comes_twice_is_no_leave_to_take_what_was_said_so_far_for_all() {
    let mut peer = Peer::new(Kind::Ours, 4096);
    assert_eq!(peer.ask("<close />"), []);
    let again = peer.ask("<close />");
    assert_eq!(again, refused(2, DefinedCondition::UnexpectedRequest));
    // The first one still gets its answer, when everything is said.
    peer.machine.shut_down();
    assert_eq!(peer.answers(), granted(1));
}

#[test]
fn a_close_of_gabbles_is_answered_at_once_and_ends_both_directions() {
    let mut peer = Peer::new(Kind::Other, 4096);
    assert_eq!(peer.ask("<data seq='0'>YQ==</data>"), granted(1));
    assert_eq!(peer.ask("<close />"), granted(2));
    assert_eq!(peer.read(), b"a");
    assert_eq!(peer.machine.read(), Reading::Ended);
    assert_eq!(peer.machine.write(b"x"), Err(Fault::Closed));
    assert_eq!(peer.says(), []);
    assert!(peer.machine.is_over());
}

#[test]
fn what_gabbles_close_cut_off_is_an_error_to_the_writer() {
    let mut peer = Peer::new(Kind::Other, 4);
    peer.machine.write(b"more than the window takes").unwrap();
    assert_eq!(peer.says().len(), 2);
    assert_eq!(peer.ask("<close />"), granted(1));
    peer.machine.shut_down();
    assert_eq!(peer.machine.is_shut_down(), Err(Fault::Closed));
}

#[test]
fn data_under_way_at_gabbles_close_decides_when_it_is_answered() {
    for (granted, outcome) in [(true, Ok(true)), (false, Err(Fault::Closed))] {
        let mut peer = Peer::new(Kind::Other, 4);
        peer.machine.write(b"all").unwrap();
        assert_eq!(peer.says().len(), 1);
        peer.ask("<close />");
        assert_eq!(peer.machine.is_flushed(), Ok(false));
        match granted {
            true => peer.ack(),
            false => peer.machine.handle_refused(),
        }
        assert_eq!(peer.machine.is_flushed(), outcome);
        assert!(peer.machine.is_over());
    }
}

#[test]
fn stays_to_answer_the_close_that_gabble_sends_after_ours() {
    let mut peer = Peer::new(Kind::Other, 4096);
    peer.machine.shut_down();
    assert_eq!(peer.says(), [element("<close />")]);
    peer.machine.handle_said();
    peer.machine.handle_close_answered(Ok(()));
    assert_eq!(peer.machine.read(), Reading::Ended);
    assert!(!peer.machine.is_over());
    assert_eq!(peer.ask("<close />"), granted(1));
    assert!(peer.machine.is_over());
}

#[test]
fn does_not_stay_for_ever() {
    let mut peer = Peer::new(Kind::Other, 4096);
    peer.machine.shut_down();
    peer.says();
    peer.machine.handle_said();
    peer.machine.handle_close_answered(Ok(()));
    let now = Instant::now();
    let at = peer.machine.next_timeout(now).unwrap();
    assert_eq!(at, now + Duration::from_secs(10));
    peer.machine.handle_timeout(at - Duration::from_nanos(1));
    assert!(!peer.machine.is_over());
    peer.machine.handle_timeout(at);
    assert!(peer.machine.is_over());
    assert_eq!(peer.machine.read(), Reading::Ended);
}

#[test]
fn others_that_still_send_after_our_close_are_waited_for() {
    let mut peer = Peer::new(Kind::Other, 4096);
    peer.machine.shut_down();
    peer.says();
    peer.machine.handle_said();
    let start = Instant::now();
    let first = peer.machine.next_timeout(start).unwrap();
    peer.ask("<data seq='0'>YQ==</data>");
    // Nothing runs while the local reader is behind.
    assert_eq!(peer.machine.next_timeout(first), None);
    assert_eq!(peer.read(), b"a");
    let second = peer.machine.next_timeout(first).unwrap();
    assert_eq!(second, first + Duration::from_secs(10));
    peer.machine.handle_timeout(second);
    assert_eq!(peer.fault(), Fault::TimedOut);
    assert_eq!(peer.machine.is_shut_down(), Ok(true));
}

#[test]
fn a_refused_block_breaks_both_halves_and_closes() {
    let mut peer = Peer::new(Kind::Other, 4096);
    peer.machine.write(b"a").unwrap();
    peer.says();
    peer.machine.handle_refused();
    // XEP-0047 §2.2: the sender must close.
    assert_eq!(peer.says(), [element("<close />")]);
    assert_eq!(peer.fault(), Fault::Refused);
    assert_eq!(peer.machine.is_flushed(), Err(Fault::Refused));
}

#[test]
fn an_abort_is_no_end() {
    let mut peer = Peer::new(Kind::Ours, 4096);
    assert_eq!(peer.ask("<data seq='0'>YQ==</data>"), granted(1));
    let abort = "<close ><abort xmlns='urn:x-tubes:0'/></close>";
    assert_eq!(peer.ask(abort), granted(2));
    assert_eq!(peer.read(), b"a");
    assert_eq!(peer.fault(), Fault::Aborted);
    assert_eq!(peer.machine.write(b"x"), Err(Fault::Aborted));
    assert!(peer.machine.is_over());
}

#[test]
fn leaving_early_is_told_to_each_kind_in_its_own_way() {
    let abort = "<close ><abort xmlns='urn:x-tubes:0'/></close>";
    for (kind, word) in [(Kind::Ours, abort), (Kind::Other, "<close />")] {
        let mut peer = Peer::new(kind, 4096);
        peer.machine.write(b"never sent").unwrap();
        peer.machine.release();
        assert_eq!(peer.says(), [element(word)]);
        let answer = refused(1, DefinedCondition::ItemNotFound);
        assert_eq!(peer.ask("<data seq='0'>YQ==</data>"), answer);
    }
}

#[test]
fn a_close_between_blocks_that_were_cut_short_is_refused() {
    let mut peer = Peer::new(Kind::Ours, 4096);
    peer.ask("<close />");
    peer.machine.write(b"unfinished").unwrap();
    peer.machine.release();
    // A result would say that this side had sent everything.
    let answer = refused(1, DefinedCondition::ItemNotFound);
    assert_eq!(peer.answers(), answer);
    assert!(peer.machine.is_over());
}

#[test]
fn a_lost_session_spares_what_is_complete() {
    let mut peer = Peer::new(Kind::Ours, 4096);
    assert_eq!(peer.ask("<close />"), []);
    peer.machine.handle_gone(Gone::Session);
    assert_eq!(peer.machine.read(), Reading::Ended);
    let why = Fault::Gone(Gone::Session);
    assert_eq!(peer.machine.write(b"x"), Err(why));
    assert!(peer.machine.is_over());
}
