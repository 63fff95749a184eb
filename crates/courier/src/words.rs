//! The last words on a bytestream, and waiting for its end.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tubes_protocol::file::LINE;

/// Reads the other side's last word: all it says until its direction ends. Nothing, if it says nothing
/// that is understood.
pub(crate) async fn hear<Word: FromStr>(
    from: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<Word>> {
    let mut line = Vec::new();
    let bound = u64::try_from(LINE).unwrap_or(u64::MAX);
    from.take(bound).read_to_end(&mut line).await?;
    Ok(str::from_utf8(&line)
        .ok()
        .and_then(|line| line.parse().ok()))
}

/// Says the last word, and ends this direction.
pub(crate) async fn tell(
    to: &mut (impl AsyncWrite + Unpin),
    word: impl ToString,
) -> io::Result<()> {
    to.write_all(word.to_string().as_bytes()).await?;
    to.shutdown().await
}

/// Ends this direction, if that takes no longer than it is worth.
pub(crate) async fn end(stream: &mut (impl AsyncWrite + Unpin)) {
    let _ = timeout(PARTING, stream.shutdown()).await;
}

/// Waits until the other side has ended its direction; what it says is not of interest.
pub(crate) async fn end_of(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    tokio::io::copy(stream, &mut tokio::io::sink())
        .await
        .map(drop)
}

/// Waits for the same, if that takes no longer than it is worth.
pub(crate) async fn drain(stream: &mut (impl AsyncRead + Unpin)) {
    let _ = timeout(PARTING, end_of(stream)).await;
}

/// Time for the end of a direction to be said, or heard: there is nothing more to be lost.
pub(crate) const PARTING: Duration = Duration::from_secs(10);
