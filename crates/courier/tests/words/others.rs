//! Files to and from others, who know the bytes and the end of the bytestream alone.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};
use tubes_files::SourceError;
use tubes_protocol::file::Md5;

use super::*;

#[tokio::test]
async fn others_are_sent_the_bytes_alone_and_waited_for() {
    let stage = Stage::with(10_000);
    let (errand, mut other, _stop) = errand(Dialect::Plain);
    let range = Range {
        offset: 1_000,
        length: Some(2_000),
    };
    let mut sending = Box::pin(send(errand, stage.source(), range));
    let mut heard = Vec::new();
    {
        let hearing = other.read_to_end(&mut heard);
        tokio::select! {
            biased;
            _ = &mut sending => panic!("it did not wait for the other side"),
            read = hearing => read.unwrap(),
        };
    }
    assert!(heard == stage.content[1_000..3_000]);
    drop(other);
    assert_eq!(sending.await.unwrap().outcome.certainty, Certainty::Carried);
}

#[tokio::test]
async fn of_others_all_bytes_are_a_file() {
    let stage = Stage::with(10_000);
    let (received, heard) =
        receives(&stage, &stage.content, Dialect::Plain, Wanted::default()).await;
    assert_eq!(received.unwrap().certainty, Certainty::Carried);
    assert_eq!(heard, "");
    assert_eq!(fs::read(stage.arrived()).unwrap(), stage.content);
}

#[tokio::test]
async fn of_others_the_old_sum_is_checked() {
    let stage = Stage::with(3);
    fs::write(stage.folder.path().join("here"), b"abc").unwrap();
    let right = "900150983cd24fb0d6963f7d28e17f72".parse::<Md5>().unwrap();
    for (sum, holds) in [(Md5([0; 16]), false), (right, true)] {
        let wanted = Wanted {
            sha256: None,
            md5: Some(sum),
        };
        let (received, _) = receives(&stage, b"abc", Dialect::Plain, wanted).await;
        let certainty = received.map(|received| received.certainty);
        assert_eq!(matches!(certainty, Ok(Certainty::Checked)), holds);
        assert_eq!(stage.arrived().exists(), holds);
    }
}

#[tokio::test]
async fn of_others_too_few_bytes_are_no_file() {
    let stage = Stage::with(10_000);
    let said = &stage.content[..9_999];
    let (received, _) = receives(&stage, said, Dialect::Plain, Wanted::default()).await;
    assert!(matches!(received, Err(ReceiveError::CutShort)));
    assert!(!stage.arrived().exists());
    assert_eq!(stage.partial().offset(), 9_999);
}

#[tokio::test(start_paused = true)]
async fn others_that_take_their_time_are_waited_for() {
    let stage = Stage::with(10_000);
    let (errand, mut other, _stop) = errand(Dialect::Plain);
    let begun = Instant::now();
    let ending = async {
        let mut heard = Vec::new();
        other.read_to_end(&mut heard).await.unwrap();
        sleep(LONG).await;
        drop(other);
    };
    let (sent, ()) = tokio::join!(send(errand, stage.source(), Range::default()), ending);
    assert_eq!(sent.unwrap().outcome.certainty, Certainty::Carried);
    assert!(begun.elapsed() >= LONG);
}

#[tokio::test(start_paused = true)]
async fn of_others_that_never_end_it_is_not_known_whether_they_have_it() {
    let stage = Stage::with(10_000);
    let (errand, mut other, _stop) = errand(Dialect::Plain);
    let mut sending = Box::pin(send(errand, stage.source(), Range::default()));
    let mut heard = Vec::new();
    tokio::select! {
        biased;
        _ = &mut sending => panic!("it did not wait for the other side"),
        read = other.read_to_end(&mut heard) => read.unwrap(),
    };
    assert!(heard == stage.content);
    let sent = sending.await.unwrap();
    assert_eq!(sent.outcome.certainty, Certainty::Unconfirmed);
    drop(other);
}

#[tokio::test(start_paused = true)]
async fn others_that_end_before_everything_arrived_are_not_said_to_have_it() {
    for (rest, certainty) in [
        (Rest::Arrived, Certainty::Carried),
        (Rest::Lost, Certainty::Unconfirmed),
        (Rest::UnderWay, Certainty::Unconfirmed),
    ] {
        let (stream, other) = Kernel::holding(rest);
        let sent = sent_to(stream.with_receipt(), other).await;
        assert_eq!(sent, certainty, "{rest:?}");
    }
}

#[tokio::test]
async fn where_a_transport_promises_nothing_it_is_not_known_whether_others_have_it() {
    let (stream, other) = Kernel::holding(Rest::Arrived);
    assert_eq!(sent_to(stream, other).await, Certainty::Unconfirmed);
}

/// Sends a file to somebody who reads it to its end, and ends then.
async fn sent_to(stream: Bytestream, mut other: DuplexStream) -> Certainty {
    let stage = Stage::with(10_000);
    let errand = Errand {
        stream,
        dialect: Dialect::Plain,
        counter: Counter::default(),
        stop: Stop::default(),
    };
    let hearing = async {
        let mut heard = Vec::new();
        other.read_to_end(&mut heard).await.unwrap();
        assert!(heard == stage.content);
        drop(other);
    };
    let (sent, ()) = tokio::join!(send(errand, stage.source(), Range::default()), hearing);
    sent.unwrap().outcome.certainty
}

#[tokio::test]
async fn others_do_not_get_the_end_of_a_file_that_changes() {
    let stage = Stage::with(300_000);
    let source = stage.source();
    let other_time = SystemTime::UNIX_EPOCH;
    let changed = fs::File::options().write(true).open(source.path()).unwrap();
    changed.set_modified(other_time).unwrap();
    let (errand, mut other, _stop) = errand(Dialect::Plain);
    let hearing = async {
        let mut heard = Vec::new();
        let _ = other.read_to_end(&mut heard).await;
        heard.len()
    };
    let (sent, heard) = tokio::join!(send(errand, source, Range::default()), hearing);
    let why = sent.unwrap_err();
    let SendError::Source(SourceError::Changed { .. }) = why else {
        panic!("{why}");
    };
    assert!(0 < heard && heard < stage.content.len(), "{heard}");
}

#[tokio::test]
async fn others_that_end_in_the_middle_do_not_have_it() {
    // It goes on reading, so that nothing that is written fails.
    let stage = Stage::with(300_000);
    let (own, mut other) = duplex(100_000);
    let errand = Errand {
        stream: Bytestream::new(own, "memory").with_receipt(),
        dialect: Dialect::Plain,
        counter: Counter::default(),
        stop: Stop::default(),
    };
    let ending = async {
        let mut first = vec![0; 1_000];
        other.read_exact(&mut first).await.unwrap();
        other.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = other.read_to_end(&mut rest).await;
        rest.len()
    };
    let (sent, rest) = tokio::join!(send(errand, stage.source(), Range::default()), ending);
    assert!(matches!(sent, Err(SendError::CutShort)), "{sent:?}");
    assert!(rest < stage.content.len() - 1_000);
}

#[tokio::test]
async fn a_part_is_not_gone_on_with_if_no_sum_will_tell_whether_it_belongs_to_the_file() {
    let stage = Stage::with(10_000);
    let mut part = stage.partial();
    part.append(&stage.content[..4_000]).unwrap();
    drop(part);
    let rest = &stage.content[4_000..];
    let (received, _) = receives(&stage, rest, Dialect::Plain, Wanted::default()).await;
    assert!(matches!(received, Err(ReceiveError::Unproven)));
    assert!(!stage.arrived().exists());
    assert_eq!(stage.partial().offset(), 0);
}

/// What became of what a kernel held when both directions had ended.
#[derive(Clone, Copy, Debug)]
enum Rest {
    Arrived,
    Lost,
    UnderWay,
}

/// A pipe that takes what is written, and what came of it.
struct Kernel {
    pipe: DuplexStream,
    rest: Rest,
}

impl Kernel {
    fn holding(rest: Rest) -> (Bytestream, DuplexStream) {
        let (pipe, other) = duplex(4096);
        (Bytestream::new(Self { pipe, rest }, "memory"), other)
    }
}

impl AsyncRead for Kernel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, buf)
    }
}

impl AsyncWrite for Kernel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.rest {
            Rest::Arrived => Poll::Ready(Ok(())),
            Rest::Lost => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Rest::UnderWay => Poll::Pending,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// Longer than anybody needs who is at hand.
const LONG: Duration = Duration::from_secs(120);
