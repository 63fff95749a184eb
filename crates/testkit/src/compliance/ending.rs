//! A proper end is an end, and loses nothing.

use tokio::io::AsyncWriteExt;
use tubes_transport::{Bytestream, Role};

use crate::compliance::Breach;
use crate::compliance::bench::Bench;
use crate::compliance::speech::{Finish, compare, hear, pattern, read, receive, send, write_out};

/// Opens, and shuts both sides down, one after the other and at the same time.
pub(crate) async fn without_a_byte(bench: &Bench, role: Role) -> Result<(), Breach> {
    let (mut near, mut far) = bench.open("empty").await?.seen_by(role);
    send(bench, &mut near, &[]).await?;
    receive(bench, &mut far, &[]).await?;
    send(bench, &mut far, &[]).await?;
    receive(bench, &mut near, &[]).await?;
    drop((near, far));

    let (near, far) = bench.open("empty-at-once").await?.seen_by(role);
    let (mut near_in, mut near_out) = tokio::io::split(near);
    let (mut far_in, mut far_out) = tokio::io::split(far);
    let (a, b, c, d) = tokio::join!(
        send(bench, &mut near_out, &[]),
        send(bench, &mut far_out, &[]),
        receive(bench, &mut near_in, &[]),
        receive(bench, &mut far_in, &[]),
    );
    c.and(d).and(a).and(b)
}

/// The near side ends first. What the far side shuts down afterwards arrives whole; where the
/// transport declares no half-close it may fail to be shut down, but not vanish.
pub(crate) async fn one_direction(bench: &Bench, role: Role) -> Result<(), Breach> {
    let (mut near, mut far) = bench.open("half").await?.seen_by(role);
    let half_close = near.half_close() && far.half_close();
    let (question, early, late) = (pattern(70_000, 3), pattern(3000, 4), pattern(120_000, 5));
    write_out(bench, &mut far, &early).await?;
    let (sent, heard) = tokio::join!(
        send(bench, &mut near, &question),
        receive(bench, &mut far, &question),
    );
    sent.and(heard)?;
    read(bench, &mut near, &early).await?;
    let (sent, heard) = tokio::join!(send(bench, &mut far, &late), hear(bench, &mut near, &late),);
    let heard = heard?;
    match (sent, heard.finish) {
        (Ok(()), Finish::End) => compare(&late, &heard.bytes),
        (Ok(()), Finish::Error(why)) => Err(Breach::Failed {
            doing: "reading what was shut down properly",
            why,
        }),
        (Err(_), _) if !half_close => still_in_order(&late, &heard.bytes),
        (Err(breach), _) => Err(breach),
    }
}

/// A stream that was cut short has carried a beginning, and nothing else.
fn still_in_order(written: &[u8], heard: &[u8]) -> Result<(), Breach> {
    let length = heard.len().min(written.len());
    compare(written.get(..length).unwrap_or_default(), heard)
}

/// The writer is gone as soon as its shutdown is done, and the reader only begins then where it
/// can: what waited for it must still be there.
pub(crate) async fn dropped_after_shutdown(bench: &Bench, role: Role) -> Result<(), Breach> {
    for length in [1, 100, 300_000] {
        let stream = format!("closed-{length}");
        let (near, mut far) = bench.open(&stream).await?.seen_by(role);
        let bytes = pattern(length, 6);
        let (sent, heard) = tokio::join!(
            send_and_drop(bench, near, &bytes),
            receive(bench, &mut far, &bytes),
        );
        heard.and(sent)?;
        // The direction that nobody reads any more ends somehow, and does not hang.
        let shut = bench.within("shutting down towards nobody", far.shutdown());
        let _either_way = shut.await?;
    }
    Ok(())
}

async fn send_and_drop(bench: &Bench, mut near: Bytestream, bytes: &[u8]) -> Result<(), Breach> {
    send(bench, &mut near, bytes).await
}
