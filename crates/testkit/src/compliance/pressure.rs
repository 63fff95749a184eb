//! A reader that does not read stops its writer, and nothing else.

use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tubes_transport::Role;

use crate::compliance::bench::Bench;
use crate::compliance::speech::{failed, pattern, read, receive, write_out};
use crate::compliance::{Breach, Carrier};

/// Nobody reads.
pub(crate) async fn stops(bench: &Bench, role: Role) -> Result<(), Breach> {
    let (mut near, _far) = bench.open("unread").await?.seen_by(role);
    let bytes = pattern(bound(bench) + PIECE, 10);
    fill(bench, &mut near, &bytes).await.map(drop)
}

/// Nobody reads for a while; meanwhile the other direction flows, and in the end everything has
/// arrived.
pub(crate) async fn goes_on(bench: &Bench, role: Role) -> Result<(), Breach> {
    let (near, far) = bench.open("slow").await?.seen_by(role);
    let bytes = pattern(bound(bench) + PIECE, 11);
    let (mut near_in, mut near_out) = tokio::io::split(near);
    let (mut far_in, mut far_out) = tokio::io::split(far);
    let filled = fill(bench, &mut near_out, &bytes).await?;

    let back = pattern(200_000, 12);
    let (written, heard) = tokio::join!(
        write_out(bench, &mut far_out, &back),
        read(bench, &mut near_in, &back),
    );
    heard.and(written)?;

    // Somewhat more than what stands there, so that the writer has to be woken.
    let rest = bytes.get(filled..).unwrap_or_default();
    let rest = rest.get(..MORE).unwrap_or(rest);
    let sent = bytes.get(..filled + rest.len()).unwrap_or_default();
    let going_on = async {
        write_out(bench, &mut near_out, rest).await?;
        let shut = bench.within("shutting down", near_out.shutdown()).await?;
        shut.map_err(failed("shutting down"))
    };
    let (written, heard) = tokio::join!(going_on, receive(bench, &mut far_in, sent));
    heard.and(written)
}

/// Writes until nothing is taken any more and says how much was.
async fn fill(
    bench: &Bench,
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Result<usize, Breach> {
    let bound = bound(bench);
    let mut taken = 0;
    loop {
        let rest = bytes.get(taken..).unwrap_or_default();
        let piece = rest.get(..PIECE).unwrap_or(rest);
        let Ok(wrote) = timeout(STILL, to.write(piece)).await else {
            return Ok(taken);
        };
        taken += wrote.map_err(failed("writing"))?;
        if taken > bound {
            return Err(Breach::Unbounded { taken, bound });
        }
    }
}

/// The most that a writer may get rid of.
fn bound(bench: &Bench) -> usize {
    match bench.carrier() {
        Carrier::Session => HELD,
        Carrier::Own { kernel } => HELD + kernel,
    }
}

/// What a transport may hold of one direction, on both sides together: with a thousand
/// connections that nobody reads it is half a gigabyte.
const HELD: usize = 512 * 1024;

/// A writer that nothing is taken from for this long stands still. On a machine under load one
/// may be thought to stand that would go on: then the test asks for less, and fails nobody.
const STILL: Duration = Duration::from_millis(500);

/// Bytes that are offered at a time.
const PIECE: usize = 4096;

/// Bytes that follow when the reader reads again.
const MORE: usize = 100_000;
