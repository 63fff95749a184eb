//! Keeps a port while nobody listens there.

use tokio::net::TcpSocket;

use crate::{Address, BindError, bind};

/// Keeps a TCP port from being given to other programs, until dropped.
///
/// Programs that connect are refused, until somebody [listens] there: any number of times, one after the
/// other. The kernel gives the port to nobody who wants any; a program that asks for this very one and shares
/// it (`SO_REUSEADDR`) gets it still. Of other addresses nothing is kept, and only Linux can keep a port.
///
/// [listens]: crate::Listener::bind
///
/// ```
/// use tubes_local::{Access, Listener, Reservation};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let reservation = Reservation::of(&"127.0.0.1:0".parse()?).await?;
/// for _ in 0..2 {
///     let listener = Listener::bind(reservation.address(), Access::Localhost).await?;
///     # #[cfg(target_os = "linux")]
///     assert_eq!(listener.address(), reservation.address());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Reservation {
    address: Address,
    /// Bound, and none of them listens.
    _keepers: Vec<TcpSocket>,
}

impl Reservation {
    /// Keeps this address. Fails as listening there would. Must be called within a tokio runtime.
    /// Cancel safe.
    pub async fn of(address: &Address) -> Result<Self, BindError> {
        let Address::Tcp { host, port } = address else {
            return Ok(Self::of_nothing(address));
        };
        // Elsewhere nobody could listen beside the keepers (SO_REUSEADDR means something else there).
        if !cfg!(any(target_os = "linux", target_os = "android")) {
            return Ok(Self::of_nothing(address));
        }
        let (keepers, port) = bind::bind_tcp(host, *port).await?;
        let host = host.clone();
        Ok(Self {
            address: Address::Tcp { host, port },
            _keepers: keepers,
        })
    }

    /// Where to listen: with the port that the kernel chose, if one is kept.
    pub fn address(&self) -> &Address {
        &self.address
    }

    fn of_nothing(address: &Address) -> Self {
        Self {
            address: address.clone(),
            _keepers: Vec::new(),
        }
    }
}
