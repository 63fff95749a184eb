//! What is done about blocks that nobody acknowledges.

use std::time::{Duration, Instant};

use tubes_ibb::{Fault, Speech};
use tubes_transport::{Kind, StreamId};
use xmpp_parsers::stanza_error::DefinedCondition;

use super::{Asked, Peer, refused};

/// One that has said a block, of which nothing is heard.
fn waiting(kind: Kind) -> (Peer, Instant) {
    let mut peer = Peer::new(kind, 4096);
    peer.machine.write(b"hello").unwrap();
    assert_eq!(peer.says().len(), 1);
    (peer, Instant::now())
}

/// When this one does something by itself, after so long at most.
fn next(peer: &mut Peer, now: Instant) -> Option<Duration> {
    let at = peer.machine.next_timeout(now)?;
    peer.machine.handle_timeout(at);
    Some(at - now)
}

#[test]
fn a_block_that_is_lost_breaks_the_stream_within_half_a_minute() {
    let (mut peer, now) = waiting(Kind::Ours);
    let waited = next(&mut peer, now).unwrap();
    assert!(waited <= Duration::from_secs(30), "{waited:?}");
    let probe = peer.machine.next_speech().unwrap();
    assert!(matches!(&probe, Speech::Data { seq: 1, block } if block.is_empty()));
    // The other side has never seen the block before.
    let mut other = Peer::new(Kind::Ours, 4096);
    let probe = probe.into_element(&StreamId::from("s1"));
    other.machine.handle_ask(Asked(1, probe));
    let answer = refused(1, DefinedCondition::UnexpectedRequest);
    assert_eq!(other.answers(), answer);
    peer.machine.handle_refused();
    assert_eq!(peer.fault(), Fault::Refused);
    assert_eq!(peer.machine.is_flushed(), Err(Fault::Refused));
}

#[test]
fn an_acknowledgement_that_is_lost_is_made_up_for_by_the_next() {
    let (mut peer, now) = waiting(Kind::Ours);
    next(&mut peer, now).unwrap();
    assert_eq!(peer.says().len(), 1);
    assert_eq!(peer.machine.is_flushed(), Ok(false));
    peer.machine.handle_acked(1, now, now);
    assert_eq!(peer.machine.is_flushed(), Ok(true));
    assert_eq!(next(&mut peer, now), None);
    // As good as new.
    peer.machine.write(b"again").unwrap();
    assert_eq!(peer.says().len(), 1);
}

#[test]
fn a_reader_that_takes_its_time_is_asked_ever_more_rarely() {
    let (mut peer, mut now) = waiting(Kind::Ours);
    let day = Duration::from_secs(24 * 60 * 60);
    let end = now + day;
    let mut asked = 0;
    while let Some(waited) = next(&mut peer, now)
        && now + waited < end
    {
        now += waited;
        asked += peer.says().len();
    }
    assert!((8..=12).contains(&asked), "{asked}");
    assert_eq!(peer.machine.is_flushed(), Ok(false));
    peer.machine.handle_acked(0, now, now);
    // The next one that is late is asked about as soon as the first.
    let waited = next(&mut peer, now).unwrap();
    assert!(waited <= Duration::from_secs(30), "{waited:?}");
}

#[test]
fn a_question_is_acknowledged_when_what_was_said_before_it_is_read() {
    let mut peer = Peer::new(Kind::Ours, 65535);
    for seq in 0..2 {
        peer.ask(&format!(
            "<data seq='{seq}'>{}</data>",
            "A".repeat(64 * 1024)
        ));
    }
    assert_eq!(peer.ask("<data seq='2'/>"), []);
    peer.read();
    assert_eq!(peer.answers(), [(2, None), (3, None)]);
}

/// Gabble may take offence at a block without bytes, and nobody else has to look at numbers.
#[test]
fn others_are_not_asked_and_are_taken_at_their_word() {
    let (mut peer, now) = waiting(Kind::Other);
    peer.machine.write(b"more").unwrap();
    assert_eq!(peer.says().len(), 1);
    assert_eq!(next(&mut peer, now), None);
    peer.machine.handle_acked(1, now, now);
    assert_eq!(peer.machine.is_flushed(), Ok(false));
}

#[test]
fn a_stream_that_is_acknowledged_is_not_asked_about() {
    let (mut peer, now) = waiting(Kind::Ours);
    let mut now = now;
    for seq in 0..10 {
        let second = Duration::from_secs(29);
        peer.machine.next_timeout(now);
        now += second;
        peer.machine.handle_timeout(now);
        peer.machine.write(b"more").unwrap();
        let said = peer.says();
        assert!(said.iter().all(|data| !data.text().is_empty()), "{said:?}");
        peer.machine.handle_acked(seq, now, now);
    }
}
