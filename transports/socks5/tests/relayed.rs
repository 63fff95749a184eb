//! The frames of a stream through a proxy, and the account of what is under way.
#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use tubes_socks5::relayed::frame::{self, Control, Decoder, Wants};
use tubes_socks5::relayed::ledger::{Incoming, Outgoing};

#[derive(Clone, Debug, PartialEq)]
enum Frame {
    Control(Control),
    Data(Vec<u8>),
}

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let control = prop_oneof![
        Just(Control::Nothing),
        Just(Control::End),
        any::<u64>().prop_map(Control::Arrived),
    ];
    let data = prop::collection::vec(any::<u8>(), 1..600);
    prop::collection::vec(
        prop_oneof![control.prop_map(Frame::Control), data.prop_map(Frame::Data)],
        0..12,
    )
}

fn encode(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        match frame {
            Frame::Control(control) => bytes.extend(control.to_bytes()),
            Frame::Data(data) => {
                bytes.extend(frame::head(u16::try_from(data.len()).unwrap()));
                bytes.extend(data);
            }
        }
    }
    bytes
}

/// Reads as the stream does: what is wanted, or less, as much as a cut leaves.
fn decode(bytes: &[u8], cuts: &[usize]) -> (Vec<Frame>, Decoder) {
    let mut decoder = Decoder::default();
    let (mut read, mut rest) = (Vec::new(), bytes);
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let cut = *cuts.next().unwrap();
        let wanted = match decoder.wants() {
            Wants::Begin(wanted) | Wants::Data(wanted) => wanted,
        };
        let (piece, left) = rest.split_at(wanted.min(cut).min(rest.len()));
        rest = left;
        match decoder.wants() {
            Wants::Begin(_) => {
                if let Some(control) = decoder.take(piece).unwrap() {
                    read.push(Frame::Control(control));
                } else if let Wants::Data(_) = decoder.wants() {
                    read.push(Frame::Data(Vec::new()));
                }
            }
            Wants::Data(_) => {
                decoder.skip(piece.len());
                let Some(Frame::Data(data)) = read.last_mut() else {
                    panic!("data outside of a frame");
                };
                data.extend(piece);
            }
        }
    }
    (read, decoder)
}

proptest! {
    #[test]
    fn frames_are_read_as_written_however_they_are_cut(
        frames in frames(),
        cuts in prop::collection::vec(1usize..700, 1..8),
    ) {
        let (read, decoder) = decode(&encode(&frames), &cuts);
        prop_assert_eq!(read, frames);
        prop_assert!(decoder.is_between());
    }

    #[test]
    fn whatever_comes_no_more_is_wanted_than_a_frame_has(
        bytes in prop::collection::vec(prop_oneof![0u8..3, any::<u8>()], 0..400),
    ) {
        let mut decoder = Decoder::default();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match decoder.wants() {
                Wants::Begin(wanted) => {
                    prop_assert!((1..=9).contains(&wanted));
                    let (piece, left) = rest.split_at(wanted.min(rest.len()));
                    rest = left;
                    if decoder.take(piece).is_err() {
                        break;
                    }
                }
                Wants::Data(wanted) => {
                    prop_assert!((1..=65535).contains(&wanted));
                    let (piece, left) = rest.split_at(wanted.min(rest.len()));
                    rest = left;
                    decoder.skip(piece.len());
                }
            }
        }
    }
}

#[test]
fn an_unknown_frame_is_an_error() {
    assert!(Decoder::default().take(&[0, 0]).unwrap().is_none());
    let mut decoder = Decoder::default();
    decoder.take(&[0, 0]).unwrap();
    assert!(decoder.take(&[3]).is_err());
}

#[test]
fn a_burst_is_nudged_until_it_has_arrived() {
    let begun = Instant::now();
    let mut outgoing = Outgoing::default();
    assert_eq!(outgoing.poll_timeout(), None);
    outgoing.sent(5000, begun);
    let (mut now, mut nudges) = (begun, 0);
    while now < begun + Duration::from_secs(60) {
        let due = outgoing.poll_timeout().unwrap();
        assert!(due > now && due <= now + Duration::from_secs(5));
        now = due;
        assert!(outgoing.handle_timeout(now));
        nudges += 1;
    }
    assert!((10..25).contains(&nudges), "{nudges}");
    outgoing.handle_arrived(4096, now).unwrap();
    assert!(outgoing.poll_timeout().is_some());
    outgoing.handle_arrived(5000, now).unwrap();
    // From now on once in a while, to find out whether anybody is there.
    for _ in 0..3 {
        let due = outgoing.poll_timeout().unwrap();
        assert_eq!(due, now + Duration::from_secs(60));
        assert!(outgoing.handle_timeout(due));
        now = due;
    }
}

#[test]
fn a_first_nudge_follows_soon_and_what_is_said_meanwhile_puts_it_off() {
    let begun = Instant::now();
    let mut outgoing = Outgoing::default();
    outgoing.sent(1, begun);
    let due = outgoing.poll_timeout().unwrap();
    assert!(due <= begun + Duration::from_millis(20));
    assert!(!outgoing.handle_timeout(begun));
    outgoing.sent(1, due);
    assert!(!outgoing.handle_timeout(due));
}

#[test]
fn more_than_was_sent_cannot_have_arrived() {
    let (mut outgoing, now) = (Outgoing::default(), Instant::now());
    outgoing.sent(10, now);
    assert!(outgoing.handle_arrived(11, now).is_err());
    // An old account says nothing new.
    outgoing.handle_arrived(10, now).unwrap();
    outgoing.handle_arrived(3, now).unwrap();
    assert!(outgoing.is_settled());
}

#[test]
fn the_peer_is_told_once() {
    let mut incoming = Incoming::default();
    assert_eq!(incoming.tell(), None);
    incoming.arrived(3);
    incoming.arrived(4);
    assert_eq!(incoming.tell(), Some(7));
    assert_eq!(incoming.tell(), None);
    incoming.arrived(1);
    assert_eq!(incoming.tell(), Some(8));
}
