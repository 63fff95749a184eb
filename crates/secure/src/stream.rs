//! An encrypted bytestream, whose directions end on their own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsStream;
use tubes_transport::Io;

use crate::binding::TOKEN;
use crate::error::{Broken, Tampering, translate};

/// What is said over a bytestream, encrypted.
///
/// ```text
///   reading   Token ──► Flowing ──► Ended ──┐
///   writing             Flowing ──► Ended ──┴──► a shutdown, be it the second, ends what is below
/// ```
pub(crate) struct Sealed {
    tls: TlsStream<Below>,
    reading: Reading,
    is_written: bool,
    finish: Finish,
}

/// How far what the peer says has come.
#[derive(Clone, Copy, Debug)]
enum Reading {
    /// So much of what is said first has come.
    Token {
        expected: [u8; TOKEN],
        heard: [u8; TOKEN],
        length: usize,
    },
    Flowing,
    Ended,
    /// What is read from now on could be anything.
    Failed,
}

/// How far the end of both directions has come.
#[derive(Clone, Copy, Debug)]
enum Finish {
    Shutting,
    /// Until the peer has done the same, lest it is cut short: it may still have to read, and may
    /// take its time for that as at any time before.
    Parting,
    Done,
}

impl Sealed {
    pub(crate) fn new(tls: TlsStream<Below>, expected: [u8; TOKEN]) -> Self {
        Self {
            tls,
            reading: Reading::Token {
                expected,
                heard: [0; TOKEN],
                length: 0,
            },
            is_written: false,
            finish: Finish::Shutting,
        }
    }

    /// Says what this side says first, which ends the handshake.
    pub(crate) async fn introduce(&mut self, token: &[u8; TOKEN]) -> io::Result<()> {
        self.write_all(token).await?;
        self.flush().await?;
        self.tls.get_mut().0.is_shaking = false;
        Ok(())
    }

    /// Waits until the peer has said what it has to say first.
    pub(crate) async fn introduced(&mut self) -> io::Result<()> {
        // Reading nothing waits for what comes before everything.
        self.read(&mut []).await.map(drop)
    }

    /// Reads on, and never again after a failure.
    fn poll_tls(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.tls).poll_read(cx, buf));
        Poll::Ready(read.map_err(|why| {
            self.reading = Reading::Failed;
            translate(why)
        }))
    }

    fn poll_token(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Reading::Token {
            expected,
            mut heard,
            length,
        } = self.reading
        {
            let mut rest = ReadBuf::new(heard.get_mut(length..).unwrap_or_default());
            ready!(self.poll_tls(cx, &mut rest))?;
            let read = rest.filled().len();
            let length = length + read;
            self.reading = match length == TOKEN {
                false if read == 0 => Reading::Failed,
                false => Reading::Token {
                    expected,
                    heard,
                    length,
                },
                true if is_same(&expected, &heard) => Reading::Flowing,
                true => Reading::Failed,
            };
        }
        match self.reading {
            Reading::Failed => Poll::Ready(Err(Tampering::Changed.into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Ends the bytestream below, once both directions have ended. Both sides have said so, so that
    /// whatever else comes of it changes nothing. Until the peer has read everything it is not done.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_written || !matches!(self.reading, Reading::Ended) {
            return Poll::Ready(Ok(()));
        }
        let below = self.tls.get_mut().0;
        loop {
            match self.finish {
                Finish::Shutting => {
                    let shut = ready!(Pin::new(&mut below.io).poll_shutdown(cx));
                    self.finish = match shut {
                        Ok(()) => Finish::Parting,
                        Err(_) => Finish::Done,
                    };
                }
                Finish::Parting => {
                    let mut scratch = [0; 64];
                    let mut scratch = ReadBuf::new(&mut scratch);
                    let _ = ready!(Pin::new(&mut below.io).poll_read(cx, &mut scratch));
                    self.finish = Finish::Done;
                }
                Finish::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// In a time that does not tell where they differ.
fn is_same(one: &[u8; TOKEN], other: &[u8; TOKEN]) -> bool {
    let pairs = one.iter().zip(other);
    pairs.fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

impl AsyncRead for Sealed {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_token(cx))?;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Reading::Flowing = this.reading {
            let before = buf.filled().len();
            ready!(this.poll_tls(cx, buf))?;
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            this.reading = Reading::Ended;
        }
        // What is below is for a shutdown to end: whoever reads is told at once.
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Sealed {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let tls = &mut self.get_mut().tls;
        Pin::new(tls).poll_write(cx, buf).map_err(translate)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tls = &mut self.get_mut().tls;
        Pin::new(tls).poll_flush(cx).map_err(translate)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_written {
            ready!(Pin::new(&mut this.tls).poll_shutdown(cx)).map_err(translate)?;
            this.is_written = true;
        }
        this.poll_finish(cx)
    }
}

/// The bytestream below, which one direction's end does not shut down: transports cannot always
/// end one without the other, and what ends there is not authenticated.
pub(crate) struct Below {
    io: Box<dyn Io>,
    /// Meanwhile nobody waits for a flush to be done, which in-band takes a round trip: the answer
    /// says that it is.
    is_shaking: bool,
}

impl Below {
    pub(crate) fn new(io: Box<dyn Io>) -> Self {
        Self {
            io,
            is_shaking: true,
        }
    }
}

impl AsyncRead for Below {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // tokio-rustls takes a connection that was aborted for one that has ended, the next time.
        Pin::new(&mut self.io)
            .poll_read(cx, buf)
            .map_err(Broken::wrap)
    }
}

impl AsyncWrite for Below {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io)
            .poll_write(cx, buf)
            .map_err(Broken::wrap)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        match flushed {
            Poll::Pending if self.is_shaking => Poll::Ready(Ok(())),
            flushed => flushed.map_err(Broken::wrap),
        }
    }

    /// TLS asks for it when it has said that a direction ends.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
