//! A server that says anything while somebody logs in.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};
use tubes_transport::Io;

use super::{log_in, start_tls};
use crate::account::Account;
use crate::filter::CutAnswers;
use crate::sasl::{Binding, Security};

/// Says the bytes to a client that asks for encryption, and to one that logs in: both come to an
/// end, and whoever is logged in was offered to bind a resource.
pub fn login(data: &[u8]) {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let account = account();
            let _ = start_tls(server(data), &account).await;
            let bound = Security::Tls(vec![Binding::EndPoint(vec![1])]);
            for security in [Security::Loopback, bound] {
                let cut = CutAnswers::default();
                if let Ok(logged_in) = log_in(server(data), &security, &account, cut).await {
                    assert!(logged_in.connection.features.can_bind());
                }
            }
        });
    });
}

fn account() -> Account {
    let jid = "alice@example.org".parse();
    let jid = jid.unwrap_or_else(|why| panic!("{why}"));
    Account::new(jid, "secret").unwrap_or_else(|why| panic!("{why}"))
}

fn server(data: &[u8]) -> Box<dyn Io> {
    Box::new(Server {
        says: data.to_vec(),
        said: 0,
    })
}

/// Says this, whatever it hears, and closes the connection.
struct Server {
    says: Vec<u8>,
    said: usize,
}

impl AsyncRead for Server {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.says.get(self.said..).unwrap_or_default();
        // `\0` cuts it into packets; XML has no such character.
        let packet = rest.iter().position(|&byte| byte == 0);
        let end = packet.unwrap_or(rest.len()).min(buf.remaining());
        let now = rest.get(..end).unwrap_or_default();
        buf.put_slice(now);
        self.said += end + usize::from(packet == Some(end));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Server {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap_or_else(|why| panic!("no runtime: {why}"));
}
