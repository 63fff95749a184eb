//! How errors cross a splice.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tubes_local::{Outcome, Socket, SpliceError, Totals, splice, splice_until};
use tubes_transport::Bytestream;

/// A bytestream over TCP that remembers whether it was shut down.
struct Watched(TcpStream, Arc<AtomicBool>);

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.1.store(true, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Gives so many bytes, tells that it breaks, and breaks.
struct Breaking(usize, Option<oneshot::Sender<()>>);

impl AsyncRead for Breaking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.0.min(buf.remaining());
        if count == 0 {
            self.1.take().map(|broken| broken.send(()));
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        self.0 -= count;
        buf.put_slice(&vec![0; count]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Breaking {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

struct Spliced {
    program: TcpStream,
    peer: TcpStream,
    ended: Arc<AtomicBool>,
    outcome: JoinHandle<Outcome>,
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(near, listener.accept());
    (near.unwrap(), far.unwrap().0)
}

async fn spliced() -> Spliced {
    let (program, socket) = pair().await;
    let (peer, stream) = pair().await;
    let ended = Arc::new(AtomicBool::new(false));
    let stream = Bytestream::new(Watched(stream, Arc::clone(&ended)), "watched");
    let outcome = tokio::spawn(splice(Socket::from(socket), stream, Arc::default()));
    Spliced {
        program,
        peer,
        ended,
        outcome,
    }
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

async fn is_reset(stream: &mut TcpStream) -> bool {
    let error = stream.read(&mut [0]).await;
    error.is_err_and(|why| why.kind() == ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn a_program_that_resets_breaks_the_bytestream_after_what_it_had_sent() {
    let mut spliced = spliced().await;
    spliced.program.write_all(b"last words").await.unwrap();
    let mut got = [0; 10];
    spliced.peer.read_exact(&mut got).await.unwrap();
    reset(spliced.program);
    let outcome = spliced.outcome.await.unwrap();
    assert!(matches!(outcome.error, Some(SpliceError::Local(_))));
    assert_eq!((&got, outcome.sent), (b"last words", 10));
    assert!(!spliced.ended.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_bytestream_that_breaks_resets_the_program_after_what_had_come() {
    let mut spliced = spliced().await;
    spliced.peer.write_all(b"last words").await.unwrap();
    reset(spliced.peer);
    let mut got = Vec::new();
    let error = spliced.program.read_to_end(&mut got).await.unwrap_err();
    assert_eq!(got, b"last words");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let outcome = spliced.outcome.await.unwrap();
    assert!(matches!(outcome.error, Some(SpliceError::Remote(_))));
}

#[tokio::test]
async fn a_program_that_reads_late_still_gets_what_came_before_the_break() {
    const LENGTH: usize = 128 * 1024;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let program = TcpSocket::new_v4().unwrap();
    program.set_recv_buffer_size(4096).unwrap();
    let program = program.connect(listener.local_addr().unwrap());
    let (program, accepted) = tokio::join!(program, listener.accept());
    let (mut program, socket) = (program.unwrap(), accepted.unwrap().0);
    // Takes everything, while the program's side takes next to nothing.
    let buffer = SockRef::from(&socket).set_send_buffer_size(4 * LENGTH);
    buffer.unwrap();
    let (broken, breaks) = oneshot::channel();
    let stream = Bytestream::new(Breaking(LENGTH, Some(broken)), "breaking");
    let outcome = tokio::spawn(splice(Socket::from(socket), stream, Arc::default()));
    breaks.await.unwrap();
    let mut got = Vec::new();
    let error = program.read_to_end(&mut got).await.unwrap_err();
    assert_eq!(got.len(), LENGTH);
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(outcome.await.unwrap().received, LENGTH as u64);
}

#[tokio::test]
async fn an_error_after_one_direction_has_ended_is_still_an_error() {
    let mut spliced = spliced().await;
    spliced.program.shutdown().await.unwrap();
    assert_eq!(spliced.peer.read(&mut [0]).await.unwrap(), 0);
    reset(spliced.peer);
    assert!(is_reset(&mut spliced.program).await);
    assert!(spliced.outcome.await.unwrap().error.is_some());
}

#[tokio::test]
async fn dropping_the_splice_resets_the_program_and_breaks_the_bytestream() {
    let mut spliced = spliced().await;
    spliced.program.write_all(b"x").await.unwrap();
    spliced.peer.read_u8().await.unwrap();
    spliced.outcome.abort();
    assert!(is_reset(&mut spliced.program).await);
    assert!(!spliced.ended.load(Ordering::Relaxed));
}

#[tokio::test]
async fn dropping_a_splice_that_never_ran_resets_the_program() {
    let (mut program, socket) = pair().await;
    let (_peer, stream) = pair().await;
    let stream = Bytestream::new(stream, "tcp");
    drop(splice(
        Socket::from(socket),
        stream,
        Arc::<Totals>::default(),
    ));
    assert!(is_reset(&mut program).await);
}

#[tokio::test]
async fn an_answer_to_a_request_that_is_cut_short_arrives() {
    let mut spliced = spliced().await;
    spliced.peer.write_all(b"too large").await.unwrap();
    // The peer reads nothing of the request and closes: it answers further bytes with a reset.
    let mut got = [0; 9];
    let flood = async {
        let chunk = vec![0; 64 * 1024];
        let (mut program_in, mut program_out) = spliced.program.split();
        drop(spliced.peer);
        while program_out.write_all(&chunk).await.is_ok() {}
        program_in.read_exact(&mut got).await
    };
    flood.await.unwrap();
    assert_eq!(&got, b"too large");
    let outcome = spliced.outcome.await.unwrap();
    assert!(matches!(outcome.error, Some(SpliceError::Remote(_))));
}

#[tokio::test]
async fn an_aborted_socket_is_a_reset_for_the_program() {
    let (mut program, socket) = pair().await;
    Socket::from(socket).abort();
    assert!(is_reset(&mut program).await);
}

#[tokio::test]
async fn a_stop_lets_what_was_written_arrive_and_then_resets_the_program() {
    let (mut program, socket) = pair().await;
    let (mut peer, stream) = pair().await;
    program.write_all(b"question").await.unwrap();
    let stop = async {};
    let splice = splice_until(
        Socket::from(socket),
        Bytestream::new(stream, "test"),
        Arc::default(),
        stop,
    );
    let splice = tokio::spawn(splice);
    // The peer hears all there was and an end, and may still have its say.
    let mut got = Vec::new();
    peer.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"question");
    peer.write_all(b"answer").await.unwrap();
    peer.shutdown().await.unwrap();
    let outcome = splice.await.unwrap();
    assert!(matches!(outcome.error, Some(SpliceError::Stopped)));
    assert_eq!((outcome.sent, outcome.received), (8, 6));
    let mut got = [0; 6];
    program.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"answer");
    assert!(is_reset(&mut program).await);
}
