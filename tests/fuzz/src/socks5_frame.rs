//! Frames that come through a proxy, and the account of what is under way.

use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};
use tubes_socks5::relayed::frame::{self, Control, Decoder, Wants};
use tubes_socks5::relayed::ledger::{Incoming, Outgoing};

/// Reads the bytes as frames, in pieces of the length that the first one says: no more is wanted
/// than a frame has, the pieces do not matter, and what was read is written as the same bytes.
/// What they say of the other direction is put down to an account that adds up.
pub fn socks5_frame(data: &[u8]) {
    let Some((cut, heard)) = data.split_first() else {
        return;
    };
    let frames = read(heard, usize::from(*cut) + 1);
    assert_eq!(frames, read(heard, 1), "the pieces matter");
    let mut written = Vec::new();
    for frame in &frames {
        match frame {
            Frame::Control(control) => written.extend(control.to_bytes()),
            Frame::Data { length, data } => {
                written.extend(frame::head(*length));
                written.extend(data);
            }
        }
    }
    assert!(heard.starts_with(&written), "{frames:?}");
    account(&frames);
    // As many steps as the bytes have.
    let _ = keep_account(&mut Unstructured::new(heard));
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Frame {
    Control(Control),
    /// Of the last one not all data may have come.
    Data {
        length: u16,
        data: Vec<u8>,
    },
}

/// All frames up to the first that does not exist.
fn read(mut heard: &[u8], cut: usize) -> Vec<Frame> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    while !heard.is_empty() {
        let wants = decoder.wants();
        let (Wants::Begin(wanted) | Wants::Data(wanted)) = wants;
        let (piece, rest) = heard.split_at(wanted.min(cut).min(heard.len()));
        heard = rest;
        match wants {
            Wants::Begin(wanted) => {
                assert!((1..=9).contains(&wanted));
                match decoder.take(piece) {
                    Ok(Some(control)) => frames.push(Frame::Control(control)),
                    Ok(None) => frames.extend(begun(&decoder)),
                    Err(_) => break,
                }
            }
            Wants::Data(wanted) => {
                assert!((1..=usize::from(u16::MAX)).contains(&wanted));
                decoder.skip(piece.len());
                let Some(Frame::Data { length, data }) = frames.last_mut() else {
                    panic!("data outside of a frame");
                };
                data.extend(piece);
                assert_eq!(decoder.is_between(), data.len() == usize::from(*length));
            }
        }
    }
    frames
}

/// A frame with data, if that is what has begun.
fn begun(decoder: &Decoder) -> Option<Frame> {
    match decoder.wants() {
        Wants::Begin(_) => None,
        Wants::Data(length) => Some(Frame::Data {
            length: u16::try_from(length).ok()?,
            data: Vec::new(),
        }),
    }
}

/// What a reader of these frames tells of them, the writer believes.
fn account(frames: &[Frame]) {
    let (mut incoming, mut outgoing) = (Incoming::default(), Outgoing::default());
    let now = Instant::now();
    for frame in frames {
        let count = match frame {
            Frame::Control(Control::End) => 1,
            Frame::Control(_) => continue,
            Frame::Data { data, .. } => data.len() as u64,
        };
        outgoing.sent(count, now);
        incoming.arrived(count);
        if let Some(sum) = incoming.tell() {
            assert!(outgoing.handle_arrived(sum, now).is_ok());
            assert!(outgoing.is_settled());
        }
        assert_eq!(incoming.tell(), None, "told twice");
    }
}

/// Sends, hears any sums, and lets time pass.
fn keep_account(bytes: &mut Unstructured<'_>) -> Result<()> {
    let mut outgoing = Outgoing::default();
    let mut now = Instant::now();
    let (mut sent, mut arrived) = (0, 0);
    while !bytes.is_empty() {
        match bytes.arbitrary::<u8>()? % 4 {
            0 => {
                let count = u64::from(bytes.arbitrary::<u16>()?.max(1));
                outgoing.sent(count, now);
                sent += count;
            }
            1 => {
                let sum = u64::from(bytes.arbitrary::<u32>()? % 0x2_0000);
                let told = outgoing.handle_arrived(sum, now);
                assert_eq!(told.is_ok(), sum <= sent, "believes what cannot be");
                if told.is_ok() {
                    arrived = sum.max(arrived);
                }
            }
            2 => now += Duration::from_millis(u64::from(bytes.arbitrary::<u16>()?)),
            _ => {
                let is_due = outgoing.poll_timeout().is_some_and(|due| due <= now);
                assert_eq!(outgoing.handle_timeout(now), is_due);
            }
        }
        assert_eq!(outgoing.is_settled(), arrived == sent);
        if !outgoing.is_settled() {
            let due = outgoing.poll_timeout();
            assert!(
                due.is_some_and(|due| due <= now + PAUSE),
                "left alone with it"
            );
        }
    }
    Ok(())
}

/// The longest between two nudges while something is under way.
const PAUSE: Duration = Duration::from_secs(5);
