//! A handshake over a TCP connection.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::handshake::{HandshakeError, Step};

/// Writes and reads what each step says, and not a byte more. The caller sets the deadline.
pub(crate) async fn converse<T>(
    stream: &mut TcpStream,
    mut step: impl FnMut(&[u8]) -> Result<Step<T>, HandshakeError>,
) -> Result<T, ConversationError> {
    let mut heard = Vec::new();
    loop {
        match step(&heard)? {
            Step::Done(outcome) => return Ok(outcome),
            Step::Exchange { say, hear } => {
                stream.write_all(&say).await?;
                heard.resize(hear, 0);
                stream.read_exact(&mut heard).await?;
            }
        }
    }
}

/// Why a handshake was not finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConversationError {
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error("{0}")]
    Io(#[from] io::Error),
}
