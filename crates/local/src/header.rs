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
pub const PEER_TLV: u8 = 0xe0;
