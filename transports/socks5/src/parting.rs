//! How a connection ends that was let go before both directions had ended.
//!
//! The kernel forgets what is unsent when a connection is reset, and resets one that is closed
//! with something unread. So whatever still has to arrive is seen off first, in a task of its own
//! and for a bounded time.

use std::net::Shutdown;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Breaks a connection off: the peer gets what was written, and then an error.
pub(crate) fn break_off(stream: TcpStream) {
    if tubes_tcp::is_drained(&stream) {
        return reset(stream);
    }
    see_off(stream, |stream| async move {
        // Who does not read in all that time gets the error early.
        let _ = timeout(UNSENT, tubes_tcp::drain(&stream)).await;
        reset(stream);
    });
}

/// Ends this side's direction, if that was not done: the peer gets what was written, and then an
/// end of file. What it still sends is thrown away.
pub(crate) fn let_go(stream: TcpStream) {
    // Fails if the connection is gone already.
    let _ = SockRef::from(&stream).shutdown(Shutdown::Write);
    see_off(stream, |mut stream| async move {
        let gone = timeout(UNSENT, tubes_tcp::drain(&stream)).await;
        let ended = timeout(UNREAD, read_out(&mut stream)).await;
        if gone.is_err() || !matches!(ended, Ok(Heard::End)) {
            reset(stream);
        }
    });
}

/// Ends a connection whose own direction has ended: the peer gets what was written, and an error if
/// it still says something, or does not end its direction soon.
pub(crate) fn hear_no_more(stream: TcpStream) {
    see_off(stream, |mut stream| async move {
        let _ = timeout(UNSENT, tubes_tcp::drain(&stream)).await;
        match timeout(UNREAD, stream.read(&mut [0])).await {
            Ok(Ok(0)) => end_when_closed(&stream),
            _ => reset_when_closed(&stream),
        }
    });
}

/// Waits for the peer to close the connection, and closes it then.
pub(crate) fn await_end(stream: TcpStream) {
    see_off(stream, |mut stream| async move {
        // Whoever takes longer is not waited for.
        let _ = timeout(UNREAD, read_out(&mut stream)).await;
    });
}

/// How a peer ends its side when nobody cares for what it says.
enum Heard {
    End,
    /// An error, or too much.
    Other,
}

async fn read_out(stream: &mut TcpStream) -> Heard {
    let mut waste = [0; 4096];
    let mut left = WASTE;
    while left > 0 {
        match stream.read(&mut waste).await {
            Ok(0) => return Heard::End,
            Ok(read) => left = left.saturating_sub(read),
            Err(_) => return Heard::Other,
        }
    }
    Heard::Other
}

fn see_off<F>(stream: TcpStream, how: impl FnOnce(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let place = PLACES.try_acquire();
    match (Handle::try_current(), place) {
        (Ok(runtime), Ok(place)) => {
            let seeing_off = how(stream);
            runtime.spawn(async move {
                let _place = place;
                seeing_off.await;
            });
        }
        // The runtime is gone, and so is what could wait; or too many are seen off already.
        _ => reset(stream),
    }
}

pub(crate) fn reset(stream: TcpStream) {
    reset_when_closed(&stream);
}

pub(crate) fn reset_when_closed(stream: &TcpStream) {
    // Fails if the connection is gone already.
    let _ = tubes_tcp::reset_when_closed(stream);
}

pub(crate) fn end_when_closed(stream: &TcpStream) {
    let _ = tubes_tcp::end_when_closed(stream);
}

/// How many may be seen off at a time: they have left their tubes, and count nowhere else.
static PLACES: Semaphore = Semaphore::const_new(512);

/// How long the peer may take to read what was written before.
const UNSENT: Duration = Duration::from_secs(10);

/// How long the peer may take to end its direction.
const UNREAD: Duration = Duration::from_secs(2);

/// Bytes that a peer may still say to nobody.
const WASTE: usize = 64 * 1024;
