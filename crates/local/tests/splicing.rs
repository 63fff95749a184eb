//! What a splice carries, and how it ends when all goes well.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tubes_local::{Outcome, Socket, Totals, splice};
use tubes_transport::Bytestream;

struct Spliced<P> {
    program: P,
    peer: DuplexStream,
    totals: Arc<Totals>,
    outcome: JoinHandle<Outcome>,
}

impl<P> Spliced<P> {
    fn new(program: P, socket: Socket, adapt: impl FnOnce(Bytestream) -> Bytestream) -> Self {
        let (near, peer) = duplex(PIPE);
        let totals = Arc::new(Totals::default());
        let stream = adapt(Bytestream::new(near, "memory"));
        Self {
            program,
            peer,
            outcome: tokio::spawn(splice(socket, stream, Arc::clone(&totals))),
            totals,
        }
    }
}

async fn over_tcp() -> Spliced<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let program = TcpStream::connect(listener.local_addr().unwrap());
    let (program, accepted) = tokio::join!(program, listener.accept());
    let socket = Socket::from(accepted.unwrap().0);
    Spliced::new(program.unwrap(), socket, |stream| stream)
}

fn over_unix(adapt: impl FnOnce(Bytestream) -> Bytestream) -> Spliced<UnixStream> {
    let (program, socket) = UnixStream::pair().unwrap();
    Spliced::new(program, Socket::from(socket), adapt)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + i / 251) as u8).collect()
}

async fn read_all(from: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    from.read_to_end(&mut all).await.unwrap();
    all
}

#[tokio::test]
async fn one_byte_arrives_without_an_end() {
    let mut spliced = over_tcp().await;
    spliced.program.write_all(b"x").await.unwrap();
    assert_eq!(spliced.peer.read_u8().await.unwrap(), b'x');
    spliced.peer.write_all(b"y").await.unwrap();
    assert_eq!(spliced.program.read_u8().await.unwrap(), b'y');
}

#[tokio::test]
async fn eight_mebibytes_arrive_both_ways_at_once() {
    let spliced = over_tcp().await;
    let bytes = pattern(8 << 20);
    let (mut program_in, mut program_out) = spliced.program.into_split();
    let (mut peer_in, mut peer_out) = tokio::io::split(spliced.peer);
    let (up, down, _, _) = tokio::join!(
        read_all(&mut peer_in),
        read_all(&mut program_in),
        async {
            program_out.write_all(&bytes).await.unwrap();
            program_out.shutdown().await.unwrap();
        },
        async {
            peer_out.write_all(&bytes).await.unwrap();
            peer_out.shutdown().await.unwrap();
        },
    );
    assert!(up == bytes && down == bytes);
    let outcome = spliced.outcome.await.unwrap();
    assert!(outcome.error.is_none(), "{outcome:?}");
    assert_eq!((outcome.sent, outcome.received), (8 << 20, 8 << 20));
}

#[tokio::test]
async fn totals_are_exact_and_readable_meanwhile() {
    let mut spliced = over_tcp().await;
    spliced.program.write_all(&pattern(300)).await.unwrap();
    spliced.peer.read_exact(&mut [0; 300]).await.unwrap();
    spliced.peer.write_all(&pattern(20)).await.unwrap();
    spliced.program.read_exact(&mut [0; 20]).await.unwrap();
    assert_eq!(spliced.totals.sent(), 300);
    assert_eq!(spliced.totals.received(), 20);
    spliced.program.shutdown().await.unwrap();
    spliced.peer.shutdown().await.unwrap();
    let outcome = spliced.outcome.await.unwrap();
    assert_eq!((outcome.sent, outcome.received), (300, 20));
}

#[tokio::test]
async fn the_peer_answers_after_the_program_has_ended() {
    let mut spliced = over_tcp().await;
    spliced.program.write_all(b"question").await.unwrap();
    spliced.program.shutdown().await.unwrap();
    assert_eq!(read_all(&mut spliced.peer).await, b"question");
    spliced.peer.write_all(b"answer").await.unwrap();
    spliced.peer.shutdown().await.unwrap();
    assert_eq!(read_all(&mut spliced.program).await, b"answer");
    assert!(spliced.outcome.await.unwrap().error.is_none());
}

#[tokio::test]
async fn the_program_answers_after_the_peer_has_ended() {
    let mut spliced = over_tcp().await;
    spliced.peer.write_all(b"question").await.unwrap();
    spliced.peer.shutdown().await.unwrap();
    assert_eq!(read_all(&mut spliced.program).await, b"question");
    spliced.program.write_all(b"answer").await.unwrap();
    spliced.program.shutdown().await.unwrap();
    assert_eq!(read_all(&mut spliced.peer).await, b"answer");
    assert!(spliced.outcome.await.unwrap().error.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_holds_the_program_back_and_loses_nothing() {
    let mut spliced = over_unix(|stream| stream);
    let bytes = pattern(4 << 20);
    let mut offered = 0;
    // Until no one takes any more: then everything waits for the peer.
    while let Ok(written) =
        tokio::time::timeout(LONG, spliced.program.write(&bytes[offered..])).await
    {
        offered += written.unwrap();
    }
    assert_eq!(spliced.totals.sent(), PIPE as u64);
    assert!(offered < 1 << 20, "{offered} bytes were taken");
    let mut got = vec![0; offered];
    spliced.peer.read_exact(&mut got).await.unwrap();
    assert!(got == bytes[..offered]);
}

#[tokio::test(start_paused = true)]
async fn a_program_that_reads_slowly_is_waited_for_after_the_peers_end() {
    let mut spliced = over_unix(Bytestream::without_half_close);
    let bytes = pattern(1 << 20);
    let (mut peer_in, mut peer_out) = tokio::io::split(spliced.peer);
    let sent = bytes.clone();
    let peer = tokio::spawn(async move {
        peer_out.write_all(&sent).await.unwrap();
        peer_out.shutdown().await.unwrap();
        read_all(&mut peer_in).await
    });
    tokio::time::sleep(LONG).await;
    assert!(!spliced.outcome.is_finished());
    assert!(read_all(&mut spliced.program).await == bytes);
    spliced.program.shutdown().await.unwrap();
    assert!(spliced.outcome.await.unwrap().error.is_none());
    assert!(peer.await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_half_close_the_programs_end_is_held_until_the_peer_is_silent() {
    let mut spliced = over_unix(Bytestream::without_half_close);
    spliced.program.write_all(b"question").await.unwrap();
    spliced.program.shutdown().await.unwrap();
    let begun = Instant::now();
    spliced.peer.read_exact(&mut [0; 8]).await.unwrap();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1900)).await;
        spliced.peer.write_all(b"x").await.unwrap();
        spliced.program.read_u8().await.unwrap();
    }
    assert!(read_all(&mut spliced.peer).await.is_empty());
    let held = begun.elapsed();
    assert!(held >= Duration::from_millis(7700), "{held:?}");
    assert!(held < Duration::from_millis(7800), "{held:?}");
    spliced.peer.shutdown().await.unwrap();
    assert!(spliced.outcome.await.unwrap().error.is_none());
}

#[tokio::test(start_paused = true)]
async fn without_half_close_the_programs_end_is_held_while_it_reads_slowly() {
    let mut spliced = over_unix(Bytestream::without_half_close);
    spliced.program.shutdown().await.unwrap();
    let bytes = pattern(1 << 20);
    let (mut peer_in, mut peer_out) = tokio::io::split(spliced.peer);
    let sent = bytes.clone();
    tokio::spawn(async move {
        peer_out.write_all(&sent).await.unwrap();
        std::future::pending::<()>().await;
    });
    let mut end = tokio::spawn(async move { read_all(&mut peer_in).await });
    assert!(tokio::time::timeout(LONG, &mut end).await.is_err());
    let mut got = vec![0; bytes.len()];
    spliced.program.read_exact(&mut got).await.unwrap();
    assert!(got == bytes);
    assert!(end.await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_half_close_the_programs_end_follows_the_peers_at_once() {
    let mut spliced = over_unix(Bytestream::without_half_close);
    spliced.program.shutdown().await.unwrap();
    spliced.peer.shutdown().await.unwrap();
    let begun = Instant::now();
    assert!(read_all(&mut spliced.peer).await.is_empty());
    assert!(spliced.outcome.await.unwrap().error.is_none());
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn without_half_close_an_idle_program_is_let_go_ten_seconds_after_the_peers_end() {
    let mut spliced = over_unix(Bytestream::without_half_close);
    spliced.peer.shutdown().await.unwrap();
    let begun = Instant::now();
    assert!(read_all(&mut spliced.program).await.is_empty());
    let outcome = spliced.outcome.await.unwrap();
    assert!(outcome.error.is_none(), "{outcome:?}");
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn without_half_close_a_program_that_still_sends_after_ten_seconds_has_failed() {
    let mut spliced = over_unix(Bytestream::without_half_close);
    spliced.peer.shutdown().await.unwrap();
    assert!(read_all(&mut spliced.program).await.is_empty());
    spliced.program.write_all(b"too late").await.unwrap();
    let outcome = spliced.outcome.await.unwrap();
    assert!(outcome.error.unwrap().to_string().contains("ten seconds"));
}

#[tokio::test(start_paused = true)]
async fn with_half_close_an_end_may_be_followed_by_a_long_silence() {
    let mut spliced = over_unix(|stream| stream);
    spliced.peer.shutdown().await.unwrap();
    assert!(read_all(&mut spliced.program).await.is_empty());
    tokio::time::sleep(LONG).await;
    spliced.program.write_all(b"late").await.unwrap();
    spliced.program.shutdown().await.unwrap();
    assert_eq!(read_all(&mut spliced.peer).await, b"late");
    assert!(spliced.outcome.await.unwrap().error.is_none());
}

/// What the bytestream of these tests holds.
const PIPE: usize = 16 * 1024;

/// Longer than any deadline.
const LONG: Duration = Duration::from_secs(3600);
