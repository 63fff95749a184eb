//! An open bytestream through a proxy, between two of our own kind.
//!
//! XEP-0065 has no words for an end: a proxy passes the end of a TCP connection on, if that was an
//! end or an error, and cuts the other direction off. And Prosody's (0.12.3) holds the last bytes
//! of a burst back. So what goes through a proxy is framed:
//!
//! - [`frame`]: the frames
//! - [`ledger`]: what is still under way, and when a proxy needs a nudge
//! - [`Relayed`]: the stream (this file)

pub mod frame;
pub mod ledger;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use self::frame::{Control, Decoder, Wants};
use self::ledger::{Incoming, Outgoing};
use crate::parting;

/// A framed TCP connection.
#[derive(Debug)]
pub(crate) struct Relayed {
    /// Only gone once dropped.
    stream: Option<TcpStream>,
    decoder: Decoder,
    incoming: Incoming,
    outgoing: Outgoing,
    /// Frames, or the rest of one, that the kernel has not taken: at most one with data.
    unsent: BytesMut,
    nudge: Option<Pin<Box<Sleep>>>,
    /// Whoever waits to write, while a reader may be the one that is woken for it.
    writer: Option<Waker>,
    is_shut: bool,
    inbound: Inbound,
}

/// How far the peer's direction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inbound {
    Open,
    Ended,
    Broken,
}

impl Relayed {
    /// The connection is active, and the first frame was heard or said.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream: Some(stream),
            decoder: Decoder::default(),
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
            unsent: BytesMut::new(),
            nudge: None,
            writer: None,
            is_shut: false,
            inbound: Inbound::Open,
        }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        let stream = self.stream.as_mut();
        stream.map(Pin::new).ok_or_else(broken)
    }

    /// Writes what is unsent.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Err(broken()));
        };
        while self.unsent.has_remaining() {
            let wrote = ready!(Pin::new(&mut *stream).poll_write(cx, &self.unsent))?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(wrote);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is unsent on behalf of a reader. An error is for the writer to find.
    fn poll_drain_aside(&mut self, cx: &mut Context<'_>) {
        if !self.unsent.is_empty()
            && self.poll_drain(cx).is_ready()
            && let Some(writer) = self.writer.take()
        {
            writer.wake();
        }
    }

    /// Says something beside the data, unless more waits than the peer needs to hear.
    fn say(&mut self, control: Control) {
        if self.unsent.len() < SPARE {
            self.unsent.extend_from_slice(&control.to_bytes());
        }
    }

    /// Nudges the proxy when that is due.
    fn poll_nudge(&mut self, cx: &mut Context<'_>) {
        while let Some(due) = self.outgoing.poll_timeout() {
            let due = Instant::from_std(due);
            let nudge = self
                .nudge
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if nudge.deadline() != due {
                nudge.as_mut().reset(due);
            }
            if nudge.as_mut().poll(cx).is_pending() {
                return;
            }
            if self.outgoing.handle_timeout(Instant::now().into_std()) && self.unsent.is_empty() {
                self.say(Control::Nothing);
                self.poll_drain_aside(cx);
            }
        }
    }

    /// Remembers who waits to write.
    fn waiting<T>(&mut self, cx: &Context<'_>, outcome: Poll<T>) -> Poll<T> {
        self.writer = outcome.is_pending().then(|| cx.waker().clone());
        outcome
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.decoder.wants() {
                Wants::Data(left) => return self.poll_data(cx, buf, left),
                Wants::Begin(length) => {
                    let mut bytes = [0; 16];
                    let mut begin = ReadBuf::new(&mut bytes);
                    let mut begin = begin.take(length);
                    ready!(self.stream()?.poll_read(cx, &mut begin))?;
                    if begin.filled().is_empty() {
                        return Poll::Ready(Err(broken()));
                    }
                    match self.decoder.take(begin.filled()).map_err(invalid)? {
                        Some(Control::End) => {
                            self.inbound = Inbound::Ended;
                            self.incoming.arrived(1);
                            return Poll::Ready(Ok(()));
                        }
                        Some(Control::Arrived(sum)) => {
                            self.outgoing.handle_arrived(sum).map_err(invalid)?;
                        }
                        Some(Control::Nothing) | None => {}
                    }
                }
            }
        }
    }

    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        left: usize,
    ) -> Poll<io::Result<()>> {
        let room = left.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(self.stream()?.poll_read(cx, &mut part))?;
        let read = part.filled().len();
        if read == 0 && room > 0 {
            return Poll::Ready(Err(broken()));
        }
        buf.advance(read);
        self.decoder.skip(read);
        // usize has at most 64 bits.
        self.incoming.arrived(read as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Relayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.inbound {
            Inbound::Open => {}
            Inbound::Ended => return Poll::Ready(Ok(())),
            Inbound::Broken => return Poll::Ready(Err(broken())),
        }
        self.poll_drain_aside(cx);
        let read = self.poll_frames(cx, buf);
        if let Poll::Ready(Err(_)) = read {
            self.inbound = Inbound::Broken;
            return read;
        }
        // Nothing more for now, or for ever: the peer may want to know how far it has come.
        if (read.is_pending() || self.inbound == Inbound::Ended)
            && let Some(sum) = self.incoming.tell()
        {
            self.say(Control::Arrived(sum));
            self.poll_drain_aside(cx);
        }
        self.poll_nudge(cx);
        read
    }
}

impl AsyncWrite for Relayed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_shut || self.inbound == Inbound::Broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let drained = self.poll_drain(cx);
        ready!(self.waiting(cx, drained))?;
        let wrote = self.poll_write_frame(cx, buf);
        self.waiting(cx, wrote)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let drained = self.poll_drain(cx);
        self.waiting(cx, drained)
    }

    /// The connection itself stays open for the other direction.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.inbound == Inbound::Broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if !self.is_shut {
            self.is_shut = true;
            self.unsent.extend_from_slice(&Control::End.to_bytes());
            self.outgoing.sent(1, Instant::now().into_std());
        }
        let drained = self.poll_drain(cx);
        self.waiting(cx, drained)
    }
}

impl Relayed {
    /// Takes a frame's worth of data; what the kernel does not take of it waits in `unsent`.
    fn poll_write_frame(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let data = buf.get(..FRAME).unwrap_or(buf);
        let Ok(length @ 1..) = u16::try_from(data.len()) else {
            return Poll::Ready(Ok(0));
        };
        let head = frame::head(length);
        let slices = [IoSlice::new(&head), IoSlice::new(data)];
        let wrote = ready!(self.stream()?.poll_write_vectored(cx, &slices))?;
        if wrote == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.unsent
            .extend_from_slice(head.get(wrote..).unwrap_or_default());
        let of_data = wrote.saturating_sub(head.len());
        self.unsent
            .extend_from_slice(data.get(of_data..).unwrap_or_default());
        self.outgoing
            .sent(u64::from(length), Instant::now().into_std());
        Poll::Ready(Ok(data.len()))
    }
}

impl Drop for Relayed {
    /// Without an end frame the peer takes this for the break that it is.
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            parting::let_go(stream);
        }
    }
}

fn broken() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

fn invalid(why: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Bytes of control frames that may wait: enough for any that makes sense.
const SPARE: usize = 256;

/// The most data in a frame. What the kernel does not take at once is held here.
const FRAME: usize = 32 * 1024;
