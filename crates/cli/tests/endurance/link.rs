//! A way to the server that can be cut.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// Stands between a client and its server.
pub(crate) struct Link {
    address: SocketAddr,
    scissors: broadcast::Sender<()>,
}

impl Link {
    /// A link to the server at this address. It is there as long as the test is.
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (scissors, _) = broadcast::channel(1);
        let cutting = scissors.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, cutting.subscribe()));
            }
        });
        Self { address, scissors }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all that it carries; who comes again is let through.
    pub(crate) fn cut(&self) {
        // Nobody may be there.
        let _ = self.scissors.send(());
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, mut cut: broadcast::Receiver<()>) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = cut.recv() => {}
    }
}
