//! One logged-in XMPP account: connector, login, routing, discovery, roster and presence.
