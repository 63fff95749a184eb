//! The sockets of programs and services, of every family.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use tempfile::TempDir;
use tokio::net::{TcpStream, UnixStream};
use tubes::{Address, Socks5};
use tubes_transport::Io;

/// A connected socket of any family.
pub(crate) type Stream = Box<dyn Io>;

/// A kind of local address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Abstract,
    Tcp,
    TcpOverIpv6,
    Unix,
}

impl Family {
    /// An address of this family where nobody listens yet.
    pub(crate) fn place(self) -> Place {
        match self {
            Self::Abstract => Place::at(format!("abstract:tubes-test-{}", unique())),
            Self::Tcp => Place::at(format!("tcp:{}", own_port())),
            Self::TcpOverIpv6 => Place::at("tcp:[::1]:0".to_owned()),
            Self::Unix => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("socket");
                Place {
                    address: Address::unix(path).unwrap(),
                    _folder: Some(folder),
                }
            }
        }
    }
}

/// An address to listen at. A socket's folder goes with it.
pub(crate) struct Place {
    pub(crate) address: Address,
    _folder: Option<TempDir>,
}

impl Place {
    fn at(address: String) -> Self {
        Self {
            address: address.parse().unwrap(),
            _folder: None,
        }
    }
}

/// A port of this machine that is given to nobody else, so that it stays free when it is closed. No other
/// process has this host, and the kernel gives such ports only to who asks for them.
pub(crate) fn own_port() -> SocketAddr {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, 64 | high, middle, low);
    let is_free = |at: &SocketAddr| TcpListener::bind(at).is_ok();
    // Somebody may have one of them at every host.
    let mut free = (0..OWN_PORTS)
        .map(|_| FIRST_OWN_PORT + COUNT.fetch_add(1, Ordering::Relaxed) % OWN_PORTS)
        .map(|port| SocketAddr::from((host, port)))
        .filter(is_free);
    free.next().unwrap()
}

/// Below those that the tests' servers draw, and those that Linux gives away.
const FIRST_OWN_PORT: u16 = 2000;

const OWN_PORTS: u16 = 8000;

/// Connects as a program does.
pub(crate) async fn connect(address: &Address) -> io::Result<Stream> {
    Ok(match address {
        Address::Tcp { host, port } => Box::new(TcpStream::connect((&**host, *port)).await?),
        Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Address::Abstract(name) => Box::new(UnixStream::connect(abstract_path(name)).await?),
        other => panic!("nobody connects to {other}"),
    })
}

/// The addresses of this machine that peers can be told, best first; those of its loopback interface
/// if it has no other.
pub(crate) fn own_addresses() -> Vec<IpAddr> {
    let told = Socks5::new().told_addresses().into_iter();
    told.map(|address| address.parse().unwrap()).collect()
}

/// How tokio spells the abstract namespace.
pub(crate) fn abstract_path(name: &str) -> PathBuf {
    format!("\0{name}").into()
}

/// The abstract namespace belongs to the whole machine.
fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{count}", std::process::id())
}
