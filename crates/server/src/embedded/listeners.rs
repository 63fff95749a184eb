//! The sockets that the server listens on: at the same addresses whenever it comes back.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use xmpp_parsers::jid::BareJid;

use crate::{Setup, StartError, setup::proxy_name};

/// Where the server listens, or did before it was killed.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub(super) start_tls: SocketAddr,
    pub(super) direct_tls: SocketAddr,
    /// Of the proxy for bytestreams, after its name.
    pub(super) proxy: Option<(BareJid, SocketAddr)>,
}

impl Addresses {
    /// Free ports: which, is known of the [`Listeners`].
    pub(super) fn free(setup: &Setup, domain: &BareJid) -> Result<Self, StartError> {
        let anywhere = SocketAddr::from((setup.host, 0));
        let mut addresses = Self {
            start_tls: anywhere,
            direct_tls: anywhere,
            proxy: None,
        };
        if setup.proxy {
            let name = proxy_name(domain);
            let jid = BareJid::new(&name).map_err(|_| StartError::Domain(name))?;
            addresses.proxy = Some((jid, anywhere));
        }
        Ok(addresses)
    }

    pub(super) fn all(&self) -> Vec<SocketAddr> {
        let proxy = self.proxy.as_ref().map(|(_, address)| *address);
        [self.start_tls, self.direct_tls]
            .into_iter()
            .chain(proxy)
            .collect()
    }
}

/// Sockets that listen, and that no runtime has taken yet.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) start_tls: TcpListener,
    pub(super) direct_tls: TcpListener,
    pub(super) proxy: Option<(BareJid, TcpListener)>,
}

impl Listeners {
    pub(super) fn bind(addresses: &Addresses) -> io::Result<Self> {
        let proxy = match &addresses.proxy {
            Some((jid, address)) => Some((jid.clone(), listen(*address)?)),
            None => None,
        };
        Ok(Self {
            start_tls: listen(addresses.start_tls)?,
            direct_tls: listen(addresses.direct_tls)?,
            proxy,
        })
    }

    pub(super) fn addresses(&self) -> io::Result<Addresses> {
        let proxy = match &self.proxy {
            Some((jid, listener)) => Some((jid.clone(), listener.local_addr()?)),
            None => None,
        };
        Ok(Addresses {
            start_tls: self.start_tls.local_addr()?,
            direct_tls: self.direct_tls.local_addr()?,
            proxy,
        })
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
