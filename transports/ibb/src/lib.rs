//! In-Band Bytestreams (XEP-0047): bytes in stanzas, through any server.
