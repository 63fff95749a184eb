//! The demo's service and the program that uses it: pseudo-random bytes both ways, hashed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

/// What one end saw of one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Both ends' view of one direction.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) sent: Seen,
    pub(super) received: Seen,
    pub(super) took: Duration,
}

/// An ordinary service: it reads to the end of its input, then sends as much as it is told to.
pub(super) struct Service {
    listener: TcpListener,
}

impl Service {
    pub(super) async fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        Ok(Self { listener })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    async fn serve_once(self, size: u64) -> io::Result<(Seen, Instant, Seen)> {
        let (mut socket, _) = patiently(self.listener.accept()).await?;
        let received = receive(&mut socket).await?;
        let turned = Instant::now();
        let sent = send(&mut socket, size).await?;
        Ok((received, turned, sent))
    }
}

/// Has a program connect to where the tube listens, send to the service, and read its reply.
///
/// The program says that it is done by closing its direction alone, as many protocols do: a tube
/// that could not carry that would cut the reply off.
pub(super) async fn exchange(
    service: Service,
    tube: SocketAddr,
    size: u64,
) -> io::Result<[Way; 2]> {
    let program = async {
        let begun = Instant::now();
        let mut socket = TcpStream::connect(tube).await?;
        let sent = send(&mut socket, size).await?;
        let received = receive(&mut socket).await?;
        Ok((begun, sent, received))
    };
    let ((begun, sent, replied), (received, turned, reply)) =
        tokio::try_join!(program, service.serve_once(size))?;
    let up = Way {
        sent,
        received,
        took: turned - begun,
    };
    let down = Way {
        sent: reply,
        received: replied,
        took: turned.elapsed(),
    };
    Ok([up, down])
}

async fn send(to: &mut (impl AsyncWrite + Unpin), size: u64) -> io::Result<Seen> {
    let mut bytes = rand::make_rng::<SmallRng>();
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut left = size;
    while left > 0 {
        let length = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        let (block, _) = block.split_at_mut(length);
        bytes.fill_bytes(block);
        hash.update(&*block);
        patiently(to.write_all(block)).await?;
        left -= length as u64;
    }
    patiently(to.shutdown()).await?;
    Ok(Seen::new(size, hash))
}

async fn receive(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Seen> {
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut bytes = 0;
    loop {
        let length = patiently(from.read(&mut block)).await?;
        if length == 0 {
            return Ok(Seen::new(bytes, hash));
        }
        let (got, _) = block.split_at(length);
        hash.update(got);
        bytes += length as u64;
    }
}

impl Seen {
    fn new(bytes: u64, hash: Sha256) -> Self {
        let sha256 = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self { bytes, sha256 }
    }
}

/// Nothing here takes long unless it hangs.
async fn patiently<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(STALL, step).await.unwrap_or_else(|_| {
        let why = format!("nothing moved for {} s", STALL.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, why))
    })
}

/// What is read and written at once. In bytes.
const BLOCK: usize = 64 * 1024;

/// The reply begins only when everything was sent, so this includes draining what the tube holds.
const STALL: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[tokio::test]
    async fn without_a_tube_between_them_both_ends_see_the_same() {
        let service = Service::listen().await.unwrap();
        let address = service.address().unwrap();
        let size = 3 * BLOCK as u64 + 7;
        let [up, down] = exchange(service, address, size).await.unwrap();
        assert_eq!((up.sent.bytes, down.sent.bytes), (size, size));
        assert_eq!(up.sent, up.received);
        assert_eq!(down.sent, down.received);
        assert_ne!(up.sent.sha256, down.sent.sha256);
    }

    #[tokio::test]
    async fn hashes_what_arrives() {
        let seen = receive(&mut &b"abc"[..]).await.unwrap();
        assert_eq!(seen.bytes, 3);
        // FIPS 180-2, appendix B.1
        assert_eq!(
            seen.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
