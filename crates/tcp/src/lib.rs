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
//! - [`drain`]: waits until what was written has left this machine
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
        let block = vec![7; 1 << 20];
        let mut written = 0;
        while let Ok(wrote) = time::timeout(Duration::from_millis(200), near.write(&block)).await {
            written += wrote.unwrap();
        }
        assert!(!is_drained(&near));
        let reading = async {
            let mut sink = vec![0; written];
            far.read_exact(&mut sink).await.unwrap();
        };
        tokio::join!(drain(&near), reading);
        assert!(is_drained(&near));
    }

    #[tokio::test]
    async fn a_reset_is_an_error_at_the_peer() {
        let (near, mut far) = pair().await;
        reset_when_closed(&near).unwrap();
        drop(near);
        let error = far.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
