//! What the two sides of a test say to each other, and what is heard of it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::compliance::Breach;
use crate::compliance::bench::Bench;

/// Bytes that repeat nowhere near, so that a lost, doubled or displaced one shows.
pub(crate) fn pattern(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        // The constants of Numerical Recipes; the low bits of such a generator repeat soon.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// Writes all of it.
pub(crate) async fn write(
    bench: &Bench,
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Result<(), Breach> {
    for piece in bytes.chunks(PIECE) {
        let wrote = bench.within("writing", to.write_all(piece)).await?;
        wrote.map_err(failed("writing"))?;
    }
    Ok(())
}

/// Writes all of it and flushes.
pub(crate) async fn write_out(
    bench: &Bench,
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Result<(), Breach> {
    write(bench, to, bytes).await?;
    let flushed = bench.within("flushing", to.flush()).await?;
    flushed.map_err(failed("flushing"))
}

/// Writes all of it and shuts the direction down.
pub(crate) async fn send(
    bench: &Bench,
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Result<(), Breach> {
    write(bench, to, bytes).await?;
    let shut = bench.within("shutting down", to.shutdown()).await?;
    shut.map_err(failed("shutting down"))
}

/// Reads exactly what is expected next.
pub(crate) async fn read(
    bench: &Bench,
    from: &mut (impl AsyncRead + Unpin),
    expected: &[u8],
) -> Result<(), Breach> {
    let mut heard = Vec::new();
    while heard.len() < expected.len() {
        let mut piece = vec![0; PIECE.min(expected.len() - heard.len())];
        let got = bench.within("reading", from.read(&mut piece)).await?;
        match got.map_err(failed("reading"))? {
            0 => break,
            got => heard.extend_from_slice(piece.get(..got).unwrap_or_default()),
        }
    }
    compare(expected, &heard)
}

/// All that can be read of a stream, and how it ended.
pub(crate) struct Heard {
    pub(crate) bytes: Vec<u8>,
    pub(crate) finish: Finish,
}

/// How a stream ended for its reader.
pub(crate) enum Finish {
    End,
    Error(io::Error),
}

/// Reads until the end or an error; much more than `expected` is no stream any more.
pub(crate) async fn hear(
    bench: &Bench,
    from: &mut (impl AsyncRead + Unpin),
    expected: &[u8],
) -> Result<Heard, Breach> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; PIECE];
    while bytes.len() <= expected.len() + PIECE {
        let got = bench.within("waiting for the end", from.read(&mut piece));
        let finish = match got.await? {
            Ok(0) => Finish::End,
            Ok(got) => {
                bytes.extend_from_slice(piece.get(..got).unwrap_or_default());
                continue;
            }
            Err(why) => Finish::Error(why),
        };
        return Ok(Heard { bytes, finish });
    }
    compare(expected, &bytes)?;
    Ok(Heard {
        bytes,
        finish: Finish::End,
    })
}

/// Reads exactly this, then the end.
pub(crate) async fn receive(
    bench: &Bench,
    from: &mut (impl AsyncRead + Unpin),
    expected: &[u8],
) -> Result<(), Breach> {
    let heard = hear(bench, from, expected).await?;
    compare(expected, &heard.bytes)?;
    match heard.finish {
        Finish::End => Ok(()),
        Finish::Error(why) => Err(failed("reading to the end")(why)),
    }
}

impl Heard {
    /// Nothing but a beginning of what was written came, and then no end.
    pub(crate) fn must_break_off(&self, written: &[u8], after: &'static str) -> Result<(), Breach> {
        let length = self.bytes.len().min(written.len());
        compare(written.get(..length).unwrap_or_default(), &self.bytes)?;
        match self.finish {
            Finish::Error(_) => Ok(()),
            Finish::End => Err(Breach::ForgedEnd(after)),
        }
    }
}

pub(crate) fn compare(expected: &[u8], heard: &[u8]) -> Result<(), Breach> {
    if expected == heard {
        return Ok(());
    }
    let pairs = expected.iter().zip(heard);
    let same = pairs.take_while(|(expected, heard)| expected == heard);
    Err(Breach::Differs {
        expected: expected.len(),
        heard: heard.len(),
        at: same.count(),
    })
}

pub(crate) fn failed(doing: &'static str) -> impl Fn(io::Error) -> Breach {
    move |why| Breach::Failed { doing, why }
}

/// Bytes that are written or read at a time. No power of two, so that pieces and the blocks of a
/// transport do not fall together.
const PIECE: usize = 5000;
