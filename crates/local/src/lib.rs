//! Local sockets and the splice between a socket and a bytestream.
