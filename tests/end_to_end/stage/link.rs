//! A way to the server that can be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tubes::Account;

/// Stands between a client and its server, and counts who comes.
pub(crate) struct Link {
    address: SocketAddr,
    count: Arc<AtomicUsize>,
    scissors: broadcast::Sender<()>,
    task: JoinHandle<()>,
}

impl Link {
    /// A link to the server at this address.
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let (scissors, _) = broadcast::channel(1);
        let (counted, cutting) = (Arc::clone(&count), scissors.clone());
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(carry(client, server, cutting.subscribe()));
            }
        });
        Self {
            address,
            count,
            scissors,
            task,
        }
    }

    /// The same account, over this link.
    pub(crate) fn lead(&self, account: Account) -> Account {
        let host = self.address.ip().to_string();
        account.with_server(&host, self.address.port()).unwrap()
    }

    /// How many connections there were.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Breaks all connections; new ones are let through.
    pub(crate) fn cut(&self) {
        // Without a connection there is nothing to cut.
        let _ = self.scissors.send(());
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, mut cut: broadcast::Receiver<()>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    tokio::select! {
        // However it ends, both sides see it when the sockets are dropped.
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = cut.recv() => {}
    }
}
