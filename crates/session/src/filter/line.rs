//! A connection whose words are filtered before they are parsed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tracing::{debug, warn};
use tubes_transport::Io;

use crate::filter::{CutAnswers, Filter, FilterError, LastWords};

/// What a stream runs over: `io`, of which only what a parser can take is read.
pub(crate) struct Line {
    io: Box<dyn Io>,
    raw: Box<[u8]>,
    filter: Filter,
    /// What came through.
    clean: Vec<u8>,
    /// How much of it is read.
    read: usize,
    /// Comes after what came through.
    failed: Option<FilterError>,
    last_words: LastWords,
}

impl Line {
    /// Notes in `cut` what is not passed on as a whole.
    pub(crate) fn new(io: Box<dyn Io>, cut: CutAnswers) -> Self {
        Self {
            io,
            raw: vec![0; RECORD].into_boxed_slice(),
            filter: Filter::noting(cut),
            clean: Vec::new(),
            read: 0,
            failed: None,
            last_words: LastWords::default(),
        }
    }

    /// Whether everything that arrived was read.
    pub(crate) fn is_drained(&self) -> bool {
        self.read == self.clean.len() && self.filter.holds_nothing()
    }

    /// Why the server will have ended the stream.
    pub(crate) fn last_words(&self) -> LastWords {
        self.last_words.clone()
    }

    /// The connection, without what arrived and was not read.
    pub(crate) fn into_inner(self) -> Box<dyn Io> {
        self.io
    }

    fn filter(&mut self, length: usize) {
        let before = self.filter.losses();
        self.clean.clear();
        self.read = 0;
        let raw = self.raw.get(..length).unwrap_or_default();
        self.failed = self.filter.push(raw, &mut self.clean).err();
        self.last_words.set(self.filter.farewell());
        let losses = self.filter.losses();
        if before == 0 && losses > 0 {
            warn!("a stanza is too deep, too long or too large: the rest of it is left out");
        }
        if losses > before {
            debug!(losses, "parts of stanzas left out");
        }
    }
}

impl AsyncBufRead for Line {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.read >= this.clean.len() {
            if let Some(error) = this.failed {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
            let mut buf = ReadBuf::new(&mut this.raw);
            ready!(Pin::new(&mut this.io).poll_read(cx, &mut buf))?;
            let length = buf.filled().len();
            if length == 0 {
                return Poll::Ready(Ok(&[]));
            }
            this.filter(length);
        }
        Poll::Ready(Ok(this.clean.get(this.read..).unwrap_or_default()))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        self.read = self.clean.len().min(self.read.saturating_add(amount));
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let available = ready!(self.as_mut().poll_fill_buf(cx))?;
        let taken = available.len().min(buf.remaining());
        buf.put_slice(available.get(..taken).unwrap_or_default());
        self.consume(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The payload of a full TLS record.
const RECORD: usize = 16 * 1024;
