//! Somebody who is logged in to a server, for tests.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use tempfile::TempDir;
use tubes::{Account, BareJid, Events, Tubes};
use tubes_server::Server;

/// A fresh account that is online.
pub(crate) struct Visitor {
    pub(crate) tubes: Tubes,
    pub(crate) events: Events,
    pub(crate) jid: BareJid,
    _keys: TempDir,
}

impl Visitor {
    pub(crate) async fn on(server: &Server, name: &str) -> Self {
        let made = server.fresh_account(name).await.unwrap();
        let address = server.address();
        let account = Account::new(made.jid.clone().into(), made.password)
            .unwrap()
            .with_server(&address.ip().to_string(), address.port())
            .unwrap()
            .with_roots_pem(server.ca().pem().as_bytes())
            .unwrap();
        let keys = TempDir::new().unwrap();
        let builder = Tubes::builder(account).keys_in(keys.path());
        let (tubes, events) = builder.start().await.unwrap();
        Self {
            tubes,
            events,
            jid: made.jid,
            _keys: keys,
        }
    }
}
