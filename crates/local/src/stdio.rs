//! Standard input and output as one connection.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Stdin, Stdout};

/// Standard input to read from, standard output to write to.
///
/// `O_NONBLOCK` belongs to the open file description, which a shell and its other programs
/// share; to set it would make them fail, and who is killed cannot set it back. So a pipe or
/// terminal is opened anew through `/proc/self/fd`, which makes a description of our own, and
/// a socket is told with every call not to wait. Only regular files and devices that are always
/// ready go through tokio's blocking threads: there a read soon returns, so that it does not
/// keep the process from ending.
#[derive(Debug)]
pub(crate) struct Stdio {
    input: Input,
    output: Output,
}

impl Stdio {
    pub(crate) fn of_process() -> io::Result<Self> {
        let input = match Ready::new(io::stdin(), OFlags::RDONLY)? {
            Some(ready) => Input::Ready(ready),
            None => Input::Thread(tokio::io::stdin()),
        };
        let output = match Ready::new(io::stdout(), OFlags::WRONLY)? {
            Some(ready) => Output::Ready(ready),
            None => Output::Thread(tokio::io::stdout()),
        };
        Ok(Self { input, output })
    }
}

impl AsyncRead for Stdio {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.input {
            Input::Ready(ready) => ready.poll_read(cx, buf),
            Input::Thread(stdin) => Pin::new(stdin).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.output {
            Output::Ended => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Output::Ready(ready) => ready.poll_write(cx, buf),
            Output::Thread(stdout) => Pin::new(stdout).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.output {
            Output::Ended | Output::Ready(_) => Poll::Ready(Ok(())),
            Output::Thread(stdout) => Pin::new(stdout).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        if let Output::Ready(ready) = std::mem::replace(&mut self.output, Output::Ended) {
            ready.end()?;
        }
        Poll::Ready(Ok(()))
    }
}

#[derive(Debug)]
enum Input {
    Ready(Ready),
    Thread(Stdin),
}

#[derive(Debug)]
enum Output {
    Ended,
    Ready(Ready),
    Thread(Stdout),
}

/// A descriptor that tells when it is ready.
#[derive(Debug)]
struct Ready {
    fd: AsyncFd<OwnedFd>,
    kind: FileType,
}

impl Ready {
    /// `None` if it cannot be waited for.
    fn new(fd: impl AsFd, access: OFlags) -> io::Result<Option<Self>> {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
        let own = match kind {
            FileType::Socket => fd.as_fd().try_clone_to_owned()?,
            FileType::Fifo | FileType::CharacterDevice => match reopen(&fd, access) {
                Ok(own) => own,
                // No /proc, or a terminal of another user.
                Err(_) => return Ok(None),
            },
            _ => return Ok(None),
        };
        let interest = if access == OFlags::RDONLY {
            Interest::READABLE
        } else {
            Interest::WRITABLE
        };
        #[expect(
            deprecated,
            reason = "sound here: an OwnedFd keeps its descriptor open"
        )]
        let registered = AsyncFd::with_interest(own, interest);
        match registered {
            Ok(fd) => Ok(Some(Self { fd, kind })),
            // epoll(7) has nothing to tell of /dev/null and the like.
            Err(why) if why.kind() == io::ErrorKind::PermissionDenied => Ok(None),
            Err(why) => Err(why),
        }
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            let room = buf.initialize_unfilled();
            let read = guard.try_io(|fd| {
                if self.kind == FileType::Socket {
                    let (_, count) = rustix::net::recv(fd, room, RecvFlags::DONTWAIT)?;
                    Ok(count)
                } else {
                    Ok(rustix::io::read(fd, room)?)
                }
            });
            match read {
                Ok(count) => {
                    buf.advance(count?);
                    return Poll::Ready(Ok(()));
                }
                Err(_would_block) => {}
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.fd.poll_write_ready(cx))?;
            let written = guard.try_io(|fd| {
                if self.kind == FileType::Socket {
                    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                    Ok(rustix::net::send(fd, buf, flags)?)
                } else {
                    Ok(rustix::io::write(fd, buf)?)
                }
            });
            if let Ok(written) = written {
                return Poll::Ready(written);
            }
        }
    }

    /// Tells whoever reads standard output that no more comes.
    fn end(self) -> io::Result<()> {
        match self.kind {
            FileType::Socket => match rustix::net::shutdown(self.fd.get_ref(), Shutdown::Write) {
                // The other side went first.
                Err(Errno::NOTCONN) => Ok(()),
                done => Ok(done?),
            },
            // A pipe ends when its last writer is gone, and the process still holds descriptor 1.
            FileType::Fifo => {
                let nowhere = rustix::fs::open("/dev/null", OFlags::WRONLY, Mode::empty())?;
                Ok(rustix::stdio::dup2_stdout(nowhere)?)
            }
            // Nobody waits for a terminal to end.
            _ => Ok(()),
        }
    }
}

/// The same pipe or terminal, with a file description of our own.
fn reopen(fd: impl AsFd, access: OFlags) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}
