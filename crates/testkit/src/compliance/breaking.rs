//! What breaks is an error at the peer, and never looks like an end.

use tokio::io::AsyncWriteExt;
use tubes_transport::{Bytestream, Role};

use crate::compliance::bench::{Bench, Ends};
use crate::compliance::carrying::exchange;
use crate::compliance::speech::{compare, hear, pattern, read, receive, send, write, write_out};
use crate::compliance::{Breach, Carrier};

/// Flushes and is dropped: everything arrives, and then the error.
pub(crate) async fn after_a_flush(bench: &Bench, role: Role) -> Result<(), Breach> {
    for length in [1, 3000, 200_000] {
        let stream = format!("flushed-{length}");
        let (near, mut far) = bench.open(&stream).await?.seen_by(role);
        let bytes = pattern(length, 7);
        let (flushed, heard) = tokio::join!(
            flush_and_drop(bench, near, &bytes),
            hear(bench, &mut far, &bytes),
        );
        flushed?;
        let heard = heard?;
        compare(&bytes, &heard.bytes)?;
        if bench.tells_breaks() {
            heard.must_break_off(&bytes, "after a flush and a drop")?;
        }
    }
    Ok(())
}

async fn flush_and_drop(bench: &Bench, mut near: Bytestream, bytes: &[u8]) -> Result<(), Breach> {
    write_out(bench, &mut near, bytes).await
}

/// Dropped before anything, in the middle of something, and after the peer has ended its side.
pub(crate) async fn at_any_time(bench: &Bench, role: Role) -> Result<(), Breach> {
    let bytes = pattern(2000, 8);
    let (near, mut far) = bench.open("untouched").await?.seen_by(role);
    drop(near);
    must_break(bench, &mut far, &[], "after a drop before the first byte").await?;

    let (mut near, mut far) = bench.open("unflushed").await?.seen_by(role);
    write(bench, &mut near, &bytes).await?;
    drop(near);
    must_break(bench, &mut far, &bytes, "after a drop without a flush").await?;

    let (mut near, mut far) = bench.open("answerless").await?.seen_by(role);
    if near.half_close() && far.half_close() {
        send(bench, &mut far, &bytes).await?;
        receive(bench, &mut near, &bytes).await?;
        drop(near);
        must_break(bench, &mut far, &[], "after a drop instead of an answer").await?;
    }
    Ok(())
}

/// The reader finds an error, and the writer too before it has written much.
async fn must_break(
    bench: &Bench,
    far: &mut Bytestream,
    written: &[u8],
    after: &'static str,
) -> Result<(), Breach> {
    let heard = hear(bench, far, written).await?;
    if bench.tells_breaks() {
        heard.must_break_off(written, after)?;
    }
    writer_must_fail(bench, far).await
}

async fn writer_must_fail(bench: &Bench, to: &mut Bytestream) -> Result<(), Breach> {
    let kernel = match bench.carrier() {
        Carrier::Session => 0,
        Carrier::Own { kernel } => kernel,
    };
    let writing = async {
        for _ in 0..(kernel + TAKEN) / PIECE.len() {
            if to.write_all(&PIECE).await.is_err() {
                return Ok(());
            }
        }
        Err(Breach::Unbounded {
            taken: kernel + TAKEN,
            bound: 0,
        })
    };
    bench.within("writing to nobody", writing).await?
}

/// The session is lost in the middle of a stream.
pub(crate) async fn with_the_session(bench: &Bench, role: Role) -> Result<(), Breach> {
    let ends = bench.open("orphaned").await?;
    let bytes = pattern(3000, 9);
    match bench.carrier() {
        Carrier::Session => breaks_with_the_session(bench, role, ends, &bytes).await,
        Carrier::Own { .. } => outlives_the_session(bench, role, ends, &bytes).await,
    }
}

async fn breaks_with_the_session(
    bench: &Bench,
    role: Role,
    ends: Ends,
    bytes: &[u8],
) -> Result<(), Breach> {
    let (mut near, mut far) = ends.seen_by(role);
    write_out(bench, &mut near, bytes).await?;
    bench.hub.cut();
    let heard = hear(bench, &mut far, bytes).await?;
    heard.must_break_off(bytes, "when the session was lost")?;
    compare(bytes, &heard.bytes)?;
    let heard = hear(bench, &mut near, &[]).await?;
    heard.must_break_off(&[], "when the session was lost")?;
    writer_must_fail(bench, &mut near).await?;
    writer_must_fail(bench, &mut far).await
}

async fn outlives_the_session(
    bench: &Bench,
    role: Role,
    ends: Ends,
    bytes: &[u8],
) -> Result<(), Breach> {
    let (mut near, mut far) = ends.seen_by(role);
    write_out(bench, &mut near, bytes).await?;
    bench.hub.cut();
    read(bench, &mut far, bytes).await?;
    // The reader waits before anything is written: it must not be told of the session's end.
    let (heard, written) = tokio::join!(
        read(bench, &mut near, bytes),
        write_out(bench, &mut far, bytes),
    );
    heard.and(written)?;
    exchange(bench, near, far, 50_000).await
}

/// Bytes that a writer may get rid of before it learns that nobody is there.
const TAKEN: usize = 1 << 20;

/// Written again and again.
static PIECE: [u8; 4096] = [7; 4096];
