//! Two in-band bytestreams that talk to each other, under any order of events.

use arbitrary::{Result, Unstructured};
use tubes_transport::Kind;

use crate::pair::{Form, Pair, Step};

/// Runs the steps that the bytes stand for, and lets both ends come to an end: nothing is lost
/// silently, and everything ends. The pair checks itself after every step.
pub fn ibb_pair(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let Ok(mut pair) = pair(&mut bytes) else {
        return;
    };
    let steps = std::iter::from_fn(|| step(&mut bytes).ok());
    for (at, step) in steps.take(MOST_STEPS) {
        pair.step(at, step);
    }
    for end in [0, 1] {
        pair.step(end, Step::ShutDown);
    }
    pair.settle();
    for end in [0, 1] {
        pair.step(end, Step::Drop);
    }
    for _ in 0..4 {
        pair.settle();
        pair.step(0, Step::Pass(0));
        pair.step(0, Step::Pass(61));
    }
    assert!(pair.ends.iter().all(|end| end.machine.is_over()));
}

fn pair(bytes: &mut Unstructured<'_>) -> Result<Pair> {
    let kind = match bytes.arbitrary()? {
        true => Kind::Ours,
        false => Kind::Other,
    };
    let block_size = match bytes.int_in_range(0..=3u8)? {
        0 => 1,
        1 => 256,
        2 => 5888,
        _ => bytes.int_in_range(1..=u16::MAX)?,
    };
    Ok(Pair::new(kind, block_size))
}

/// A byte for the end and the step, and a byte or two for how much.
fn step(bytes: &mut Unstructured<'_>) -> Result<(usize, Step)> {
    let byte: u8 = bytes.arbitrary()?;
    let step = match (byte >> 1) % 10 {
        0 => Step::Write(usize::from(bytes.arbitrary::<u16>()? % MOST_WRITTEN)),
        1 => Step::Read(usize::from(bytes.arbitrary::<u16>()?)),
        2 | 3 => Step::Say,
        4 => Step::Hear(Form::Iq),
        5 => Step::Hear(Form::Message),
        6 => Step::Answer,
        7 => Step::ShutDown,
        8 => Step::Pass(u64::from(bytes.int_in_range(0..=90u8)?)),
        _ => match bytes.arbitrary::<u8>()? {
            0 => Step::Cut,
            1 => Step::Drop,
            _ => Step::Say,
        },
    };
    Ok((usize::from(byte & 1), step))
}

/// Enough to get anywhere.
const MOST_STEPS: usize = 400;

/// In one step; several fill any buffer.
const MOST_WRITTEN: u16 = 16 * 1024;
