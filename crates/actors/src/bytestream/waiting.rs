//! A program, or a service, that waits for its bytestream.

use tubes_local::Socket;

/// A local socket whose bytestream is not open yet. If it never opens, whatever the reason, the
/// program sees a reset, and not an end that it could take for a proper one.
#[derive(Debug)]
pub(crate) struct Waiting(Option<Socket>);

impl Waiting {
    pub(crate) fn new(socket: Socket) -> Self {
        Self(Some(socket))
    }

    /// Where the other end of the socket sees it come from.
    pub(super) fn source(&self) -> Option<String> {
        Some(self.0.as_ref()?.source().to_string())
    }

    /// The bytestream is open.
    pub(super) fn take(&mut self) -> Option<Socket> {
        self.0.take()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(socket) = self.0.take() {
            socket.abort();
        }
    }
}
