//! Bytes arrive as they were written, whatever else goes on.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tubes_transport::{Bytestream, Role};

use crate::compliance::Breach;
use crate::compliance::bench::Bench;
use crate::compliance::speech::{failed, pattern, read, receive, send, write_out};

/// Single bytes, small pieces and large ones, answered one by one and in bulk.
pub(crate) async fn in_order(bench: &Bench, role: Role) -> Result<(), Breach> {
    let (mut near, mut far) = bench.open(STREAM).await?.seen_by(role);
    for length in [1, 2, 3, 255, 4096, 10_000] {
        let word = pattern(length, 1);
        let (written, heard) = tokio::join!(
            write_out(bench, &mut near, &word),
            read(bench, &mut far, &word),
        );
        written.and(heard)?;
    }
    let bytes = pattern(BULK, 2);
    let bytewise = async {
        let (single, rest) = bytes.split_at(64);
        for byte in single {
            let wrote = near.write_all(std::slice::from_ref(byte));
            let wrote = bench.within("writing a byte", wrote).await?;
            wrote.map_err(failed("writing a byte"))?;
        }
        send(bench, &mut near, rest).await
    };
    let (sent, received) = tokio::join!(bytewise, receive(bench, &mut far, &bytes));
    sent.and(received)
}

/// More than any buffer holds, both ways, and each side reads while it writes.
pub(crate) async fn both_ways(bench: &Bench, role: Role) -> Result<(), Breach> {
    let (near, far) = bench.open(STREAM).await?.seen_by(role);
    exchange(bench, near, far, BULK).await
}

/// Several streams over the same two sessions, opened and used at the same time.
pub(crate) async fn apart(bench: &Bench, role: Role) -> Result<(), Breach> {
    let one = |number: usize| async move {
        let stream = format!("s{number}");
        let (near, far) = bench.open(&stream).await?.seen_by(role);
        // The lengths differ, so that no two of them look alike.
        exchange(bench, near, far, 20_000 + 1000 * number).await
    };
    let streams = tokio::join!(
        one(0),
        one(1),
        one(2),
        one(3),
        one(4),
        one(5),
        one(6),
        one(7)
    );
    let (a, b, c, d, e, f, g, h) = streams;
    [a, b, c, d, e, f, g, h].into_iter().collect()
}

/// Carries a pattern of this length both ways at once. Either side ends when it has heard
/// everything, so this holds without half-close too.
pub(crate) async fn exchange(
    bench: &Bench,
    near: Bytestream,
    far: Bytestream,
    length: usize,
) -> Result<(), Breach> {
    let seed = u32::try_from(length).unwrap_or_default();
    let (there, back) = (pattern(length, seed), pattern(length, seed + 1));
    let (mut near_in, mut near_out) = tokio::io::split(near);
    let (mut far_in, mut far_out) = tokio::io::split(far);
    let (a, b, c, d) = tokio::join!(
        write_out(bench, &mut near_out, &there),
        write_out(bench, &mut far_out, &back),
        read(bench, &mut near_in, &back),
        read(bench, &mut far_in, &there),
    );
    // What differs says more than what hangs because of it.
    c.and(d).and(a).and(b)?;
    let (a, b) = tokio::join!(
        end(bench, &mut near_in, &mut near_out),
        end(bench, &mut far_in, &mut far_out),
    );
    a.and(b)
}

/// Shuts this side down and finds the peer's end.
async fn end(
    bench: &Bench,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> Result<(), Breach> {
    let (sent, received) = tokio::join!(send(bench, to, &[]), receive(bench, from, &[]));
    received.and(sent)
}

const STREAM: &str = "carried";

/// More than the windows and pipes of any sane transport hold.
const BULK: usize = 400_000;
