//! The namespaces by which the protocols are known.

/// Advanced Message Processing (XEP-0079): rules that keep an offer from being stored.
pub const AMP: &str = "http://jabber.org/protocol/amp";
/// SOCKS5 bytestreams (XEP-0065).
pub const BYTESTREAMS: &str = "http://jabber.org/protocol/bytestreams";
/// Data forms (XEP-0004).
pub const DATA_FORMS: &str = "jabber:x:data";
/// Feature negotiation (XEP-0020).
pub const FEATURE_NEG: &str = "http://jabber.org/protocol/feature-neg";
/// Files (XEP-0096): the profile of their Stream Initiations, and a disco#info feature.
pub const FILE_TRANSFER: &str = "http://jabber.org/protocol/si/profile/file-transfer";
/// Sums (XEP-0300).
pub const HASHES: &str = "urn:xmpp:hashes:2";
/// Message processing hints (XEP-0334).
pub const HINTS: &str = "urn:xmpp:hints";
/// In-band bytestreams (XEP-0047).
pub const IBB: &str = "http://jabber.org/protocol/ibb";
/// What this project adds to the XEPs: a disco#info feature, and an element in both halves of a
/// Stream Initiation.
pub const KIND: &str = "urn:x-tubes:0";
/// Chat rooms (XEP-0045).
pub const MUC: &str = "http://jabber.org/protocol/muc";
/// How a chat room is to be (XEP-0045 §10).
pub const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// What a chat room says of its occupants (XEP-0045).
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// Names of occupants that stay theirs, whatever they are called (XEP-0421).
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
/// Stream Initiation (XEP-0095).
pub const SI: &str = "http://jabber.org/protocol/si";
/// Several transports in one Stream Initiation, to fall back from one to the next.
pub const SI_MULTIPLE: &str = "http://telepathy.freedesktop.org/xmpp/si-multiple";
/// Tubes: offers, closes, the profile of their Stream Initiations, and a disco#info feature.
pub const TUBES: &str = "http://telepathy.freedesktop.org/xmpp/tubes";
