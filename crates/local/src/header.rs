//! What a service is told of a connection before its first byte.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use ppp::v2::{Builder, Command, Protocol, Version};

use crate::Socket;
use crate::export::Caller;

/// The header of the PROXY protocol, version 2, to say first at this socket.
///
/// Its command is PROXY, and it has addresses, although the peer has none that would mean anything
/// to the service: haproxy and nginx read no fields of a header whose command is LOCAL or
/// whose family is unspecified, who connects included. The addresses are those of this
/// connection to the service, which it would see without a header; where there are none, at a Unix
/// socket, `0.0.0.0`, which no rule about who is trusted takes for this machine.
pub(crate) fn before(socket: &Socket, caller: &Caller) -> io::Result<Vec<u8>> {
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let ends = socket.ends().unwrap_or((nowhere, nowhere));
    Builder::with_addresses(Version::Two | Command::Proxy, Protocol::Stream, ends)
        .write_tlv(PEER_TLV, caller.peer.as_bytes())?
        .build()
}

/// The type of the field in which the header names the peer whose program connects: the first of
/// those that the protocol leaves to applications (PP2_TYPE_MIN_CUSTOM). Its value is UTF-8.
///
/// ```
/// use ppp::v2::{Builder, Command, Header, Protocol, Version};
/// use std::net::SocketAddr;
/// use tubes_local::PEER_TLV;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let ends: (SocketAddr, SocketAddr) = ("127.0.0.1:1".parse()?, "127.0.0.1:2".parse()?);
/// # let said = Builder::with_addresses(Version::Two | Command::Proxy, Protocol::Stream, ends)
/// #     .write_tlv(PEER_TLV, b"fernand@example.net/desk")?
/// #     .build()?;
/// // With whatever parses such headers; this is what the crate ppp makes of the first bytes.
/// let header = Header::try_from(said.as_slice())?;
/// let mut fields = header.tlvs().filter_map(Result::ok);
/// let peer = fields.find(|field| field.kind == PEER_TLV).ok_or("no tube")?;
/// assert_eq!(std::str::from_utf8(&peer.value)?, "fernand@example.net/desk");
/// # Ok(())
/// # }
/// ```
pub const PEER_TLV: u8 = 0xe0;
