//! What the kernel is asked about TCP connections, beyond reading and writing.
//!
//! ```text
//!   session ──┐
//!   local  ───┼──► tubes-tcp ──► socket options
//!   socks5 ───┘
//! ```
//!
//! - [`watch_peer`]: a dead peer is noticed although nobody says anything
//! - [`acknowledge`]: a peer that waits for it says what it has at once
//! - [`drain`]: waits until what was written has left this machine; [`has_ended`]: whether it was
//!   acknowledged to its end
//! - [`reset_when_closed`]: makes a close an error at the peer, instead of an end;
//!   [`end_when_closed`] takes it back
//! - [`spare_descriptor`], [`plenty_of_descriptors`]: whether there is one left for a connection, and
//!   for what can do without (`descriptors.rs`)

mod descriptors;

pub use self::descriptors::{plenty_of_descriptors, spare_descriptor};

use std::io;
use std::time::Duration;

use rustix::event::{self, PollFd, PollFlags, Timespec};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time;

/// Has the kernel notice a peer that died without a word: within two minutes while nothing is
/// said, and within a minute and a half while what is said is not acknowledged.
///
/// # Errors
///
/// The kernel does not know an option.
pub fn watch_peer(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(IDLE)
        .with_interval(PROBE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}

/// Acknowledges at once what was read.
///
/// A server that has Nagle's algorithm on (Prosody 0.12) holds the next stanza back for as long
/// as the acknowledgement is delayed: 40 ms. The kernel forgets the setting, so that it is to be
/// made after each read.
#[cfg(target_os = "linux")]
pub fn acknowledge(stream: &TcpStream) {
    // Without it all is as before, only slower.
    let _ = rustix::net::sockopt::set_tcp_quickack(stream, true);
}

/// Elsewhere the kernel acknowledges when it thinks best.
#[cfg(not(target_os = "linux"))]
pub fn acknowledge(_stream: &TcpStream) {}

/// Waits until the kernel has sent what was written; whether it arrived is not known then.
///
/// The caller bounds the time. Cancel safe.
pub async fn drain(stream: &TcpStream) {
    let mut glance = SHORTEST_GLANCE;
    while !is_drained(stream) {
        time::sleep(glance).await;
        glance = (glance * 2).min(LONGEST_GLANCE);
    }
}

/// Whether nothing unsent is left in the kernel, or an error is waiting that makes it pointless to
/// ask.
pub fn is_drained(stream: &TcpStream) -> bool {
    // There is no safe call that tells how much is unsent. But with this option a socket counts
    // as writable only while less than that is (tcp(7)).
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if SockRef::from(stream).set_tcp_notsent_lowat(1).is_err() {
        return true;
    }
    let mut fds = [PollFd::new(stream, PollFlags::OUT)];
    let now = Timespec::default();
    !matches!(event::poll(&mut fds, Some(&now)), Ok(0))
}

/// Whether the connection has come to its end in order: the peer's machine has acknowledged that this
/// side's direction has ended, and with it all that came before. To be asked when both directions
/// have ended; before, it has not.
///
/// # Errors
///
/// It broke before that: of what was written last, nobody knows whether it arrived. This is said once.
pub fn has_ended(stream: &TcpStream) -> io::Result<bool> {
    // There is no safe call that tells how much is unacknowledged. But the kernel forgets who is at
    // the other end when nothing is left to be heard (getpeername(2)), or when the connection broke;
    // then the error is there before that.
    let peer = stream.peer_addr();
    match stream.take_error()? {
        Some(why) => Err(why),
        None => Ok(peer.is_err_and(|why| why.kind() == io::ErrorKind::NotConnected)),
    }
}

/// Makes the coming close a reset: the peer sees an error where it would see an end of file, and
/// what is still unsent is lost.
///
/// # Errors
///
/// The socket is no longer one that can be reset; then there is nothing to lose either.
pub fn reset_when_closed(stream: &TcpStream) -> io::Result<()> {
    stream.set_zero_linger()
}

/// Takes back [`reset_when_closed`].
///
/// # Errors
///
/// As there.
pub fn end_when_closed(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(None)
}

/// How often a dying connection is looked at, at first and later. Readiness cannot be awaited
/// here: the reactor has the socket down as writable until a write would block, and nothing is
/// left to write.
const SHORTEST_GLANCE: Duration = Duration::from_millis(1);
const LONGEST_GLANCE: Duration = Duration::from_millis(20);

/// Silence before the kernel asks whether the peer is still there.
const IDLE: Duration = Duration::from_secs(60);

/// From one unanswered probe to the next.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// Data may stay unacknowledged so long. Longer than [`IDLE`], or Linux would give up at the
/// first lost probe.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(90);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "this is a test")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    /// Writes what the kernels take as long as nobody reads.
    async fn fill(near: &mut TcpStream) -> usize {
        let block = vec![7; 1 << 20];
        let mut written = 0;
        while let Ok(wrote) = time::timeout(Duration::from_millis(200), near.write(&block)).await {
            written += wrote.unwrap();
        }
        written
    }

    #[tokio::test]
    async fn a_dead_peer_will_be_noticed() {
        let (near, _far) = pair().await;
        watch_peer(&near).unwrap();
        let raw = SockRef::from(&near);
        assert!(raw.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(raw.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED));
    }

    #[tokio::test]
    async fn draining_ends_when_the_peer_has_room_for_the_rest() {
        let (mut near, mut far) = pair().await;
        let written = fill(&mut near).await;
        assert!(!is_drained(&near));
        let reading = async {
            let mut sink = vec![0; written];
            far.read_exact(&mut sink).await.unwrap();
        };
        tokio::join!(drain(&near), reading);
        assert!(is_drained(&near));
    }

    #[tokio::test]
    async fn a_connection_has_ended_when_the_end_is_acknowledged() {
        let (mut near, mut far) = pair().await;
        let written = fill(&mut near).await;
        near.shutdown().await.unwrap();
        far.shutdown().await.unwrap();
        assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
        assert!(!has_ended(&near).unwrap(), "much is unread");
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard.len(), written);
        let ended = async {
            while !has_ended(&near).unwrap() {
                time::sleep(SHORTEST_GLANCE).await;
            }
        };
        time::timeout(PATIENCE, ended).await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_has_not_ended_if_what_was_written_is_lost() {
        let (mut near, mut far) = pair().await;
        fill(&mut near).await;
        near.shutdown().await.unwrap();
        far.shutdown().await.unwrap();
        assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
        drop(far);
        let broken = async {
            while !has_ended(&near)? {
                time::sleep(SHORTEST_GLANCE).await;
            }
            io::Result::Ok(())
        };
        let broken = time::timeout(PATIENCE, broken).await.unwrap();
        broken.unwrap_err();
    }

    #[tokio::test]
    async fn a_reset_is_an_error_at_the_peer() {
        let (near, mut far) = pair().await;
        reset_when_closed(&near).unwrap();
        drop(near);
        let error = far.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    const PATIENCE: Duration = Duration::from_secs(30);
}
