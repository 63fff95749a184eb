//! A TCP connection that speaks frames.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::frame::{self, Control, Decoder, Wants};
use super::ledger::{Incoming, Outgoing};

/// The connection, and what is known of both directions.
///
/// Frames without data are read and written beside the data, in whatever call comes: nobody else
/// works on the stream.
#[derive(Debug)]
pub(super) struct Framed {
    stream: TcpStream,
    decoder: Decoder,
    incoming: Incoming,
    outgoing: Outgoing,
    /// Frames, or the rest of one, that the kernel has not taken: at most one with data.
    unsent: BytesMut,
    nudge: Option<Pin<Box<Sleep>>>,
    /// Whoever waits to write, while a reader may be the one that is woken for it.
    writer: Option<Waker>,
    inbound: Inbound,
    has_said_end: bool,
    closing: Closing,
}

/// Who closes the connection when both directions have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// This side: it ended last, and the peer knows everything by now.
    Ours,
    /// The peer: it waits to be told that its end has arrived, and a proxy may lose that if this
    /// side closes right after.
    Theirs,
}

/// How far the peer's direction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inbound {
    Open,
    Ended,
    Broken,
}

impl Framed {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            decoder: Decoder::default(),
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
            unsent: BytesMut::new(),
            nudge: None,
            writer: None,
            inbound: Inbound::Open,
            has_said_end: false,
            closing: Closing::Ours,
        }
    }

    pub(super) fn closing(&self) -> Closing {
        self.closing
    }

    pub(super) fn inbound(&self) -> Inbound {
        self.inbound
    }

    /// Whether nothing more is to be said: the peer has everything, and knows that this side has.
    pub(super) fn is_settled(&self) -> bool {
        self.outgoing.is_settled() && self.unsent.is_empty()
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Says that no data follows.
    pub(super) fn end(&mut self) {
        self.has_said_end = true;
        self.say(Control::End);
        self.outgoing.sent(1, Instant::now().into_std());
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.inbound {
            Inbound::Open => {}
            Inbound::Ended => return Poll::Ready(Ok(())),
            Inbound::Broken => return Poll::Ready(Err(broken())),
        }
        self.poll_drain_aside(cx);
        let read = self.poll_data(cx, buf);
        if let Poll::Ready(Err(_)) = read {
            self.inbound = Inbound::Broken;
            return read;
        }
        // Nothing more for now, or for ever: the peer may want to know how far it has come.
        if (read.is_pending() || self.inbound == Inbound::Ended)
            && self.unsent.len() < SPARE
            && let Some(sum) = self.incoming.tell()
        {
            self.say(Control::Arrived(sum));
            self.poll_drain_aside(cx);
        }
        self.poll_nudge(cx);
        if read.is_ready()
            && !self.unsent.is_empty()
            && let Some(writer) = self.writer.take()
        {
            // What it waits for was to wake the reader, which may not come again.
            writer.wake();
        }
        read
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_nudge(cx);
        ready!(self.poll_drained(cx))?;
        let wrote = self.poll_write_frame(cx, buf);
        self.waiting(cx, wrote)
    }

    /// Done when the kernel has everything. Once the peer has ended, nobody reads any more, and
    /// this is what nudges the proxy: it is done when the peer has everything.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.inbound == Inbound::Ended {
            return self.poll_settled(cx);
        }
        self.poll_nudge(cx);
        self.poll_drained(cx)
    }

    /// Waits until the kernel has everything.
    pub(super) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let drained = self.poll_drain(cx);
        self.waiting(cx, drained)
    }

    /// Waits, after the peer's end, until it has everything.
    pub(super) fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        while !self.outgoing.is_settled() {
            match self.poll_control(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(why)) => return Poll::Ready(Err(why)),
                Poll::Pending => {
                    self.poll_nudge(cx);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads data, or the end.
    fn poll_data(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let left = match self.decoder.wants() {
                Wants::Data(left) => left,
                Wants::Begin(_) => {
                    ready!(self.poll_control(cx))?;
                    if self.inbound == Inbound::Ended {
                        return Poll::Ready(Ok(()));
                    }
                    continue;
                }
            };
            let room = left.min(buf.remaining());
            let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
            let read = part.filled().len();
            if read == 0 && room > 0 {
                return Poll::Ready(Err(broken()));
            }
            buf.advance(read);
            self.decoder.skip(read);
            // usize has at most 64 bits.
            self.incoming.arrived(read as u64);
            return Poll::Ready(Ok(()));
        }
    }

    /// Reads on between the data, until that or something else has come.
    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Wants::Begin(length) = self.decoder.wants() else {
            return Poll::Ready(Err(invalid("data after the end")));
        };
        let mut bytes = [0; 16];
        let mut begin = ReadBuf::new(bytes.get_mut(..length).unwrap_or_default());
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut begin))?;
        if begin.filled().is_empty() {
            return Poll::Ready(Err(broken()));
        }
        match self.decoder.take(begin.filled()).map_err(invalid)? {
            Some(Control::End) => {
                self.inbound = Inbound::Ended;
                self.incoming.arrived(1);
                if self.has_said_end && self.outgoing.is_settled() {
                    self.closing = Closing::Theirs;
                }
            }
            Some(Control::Arrived(sum)) => self
                .outgoing
                .handle_arrived(sum, Instant::now().into_std())
                .map_err(invalid)?,
            Some(Control::Nothing) | None => {}
        }
        Poll::Ready(Ok(()))
    }

    /// Takes a frame's worth of data; what the kernel does not take of it waits in `unsent`.
    fn poll_write_frame(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.inbound == Inbound::Broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let data = buf.get(..FRAME).unwrap_or(buf);
        let Ok(length @ 1..) = u16::try_from(data.len()) else {
            return Poll::Ready(Ok(0));
        };
        let head = frame::head(length);
        let slices = [IoSlice::new(&head), IoSlice::new(data)];
        let wrote = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices))?;
        if wrote == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let rest_of_head = head.get(wrote..).unwrap_or_default();
        let of_data = wrote.saturating_sub(head.len());
        self.unsent.extend_from_slice(rest_of_head);
        self.unsent
            .extend_from_slice(data.get(of_data..).unwrap_or_default());
        self.outgoing
            .sent(u64::from(length), Instant::now().into_std());
        Poll::Ready(Ok(data.len()))
    }

    /// Writes what is unsent.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unsent.has_remaining() {
            let wrote = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unsent))?;
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

    /// Nudges the proxy when that is due.
    fn poll_nudge(&mut self, cx: &mut Context<'_>) {
        while let Some(due) = self.outgoing.poll_timeout() {
            let due = Instant::from_std(due);
            let nudge = self.nudge.get_or_insert_with(|| Box::pin(sleep_until(due)));
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

    /// Says something beside the data.
    fn say(&mut self, control: Control) {
        self.unsent.extend_from_slice(&control.to_bytes());
    }

    /// Remembers who waits to write.
    fn waiting<T>(&mut self, cx: &Context<'_>, outcome: Poll<T>) -> Poll<T> {
        self.writer = outcome.is_pending().then(|| cx.waker().clone());
        outcome
    }
}

fn broken() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// More than this is not added to by frames without data: as long as something waits, the peer gets
/// no news anyway.
const SPARE: usize = 256;

/// The most data in a frame. What the kernel does not take at once is held here.
const FRAME: usize = 32 * 1024;
