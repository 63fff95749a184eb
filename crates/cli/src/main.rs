//! Share a local service with a contact over XMPP.
fn main() {}
