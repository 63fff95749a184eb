//! Logins to the servers that people run.

use tubes_server::{Server, ServerKind};
use tubes_session::{Account, LoginErrorKind, LoginFailure, Tls};

use crate::{failure, log_in};

/// Every kind that is installed, running.
async fn servers() -> Vec<&'static Server> {
    let mut servers = Vec::new();
    for kind in ServerKind::ALL {
        if kind.wanted().unwrap() {
            servers.push(Server::shared(kind).await.unwrap());
        }
    }
    servers
}

pub(crate) fn account(server: &Server, known: &tubes_server::Account) -> Account {
    let address = server.address();
    Account::new(known.jid.clone().into(), &*known.password)
        .unwrap()
        .with_server(&address.ip().to_string(), address.port())
        .unwrap()
        .with_roots_pem(server.ca().pem().as_bytes())
        .unwrap()
}

#[tokio::test]
async fn logs_in_in_either_way_of_encryption() {
    for server in servers().await {
        let alice = server.fresh_account("alice").await.unwrap();
        let kind = server.kind();
        let login = log_in(account(server, &alice)).await;
        let login = login.unwrap_or_else(|why| panic!("{kind}: {why}"));
        assert_eq!(login.jid.to_bare(), alice.jid);
        assert_eq!(login.server, server.address().to_string());
        assert!(login.tls.is_some(), "{kind}");

        let direct = server.direct_tls_address();
        let direct = account(server, &alice)
            .with_server("127.0.0.1", direct.port())
            .and_then(|account| account.with_tls(Tls::Direct))
            .unwrap();
        let login = log_in(direct).await;
        let login = login.unwrap_or_else(|why| panic!("{kind}: {why}"));
        assert!(login.tls.is_some(), "{kind}");
    }
}

#[tokio::test]
async fn gets_the_resource_it_asks_for() {
    for server in servers().await {
        let alice = server.fresh_account("alice").await.unwrap();
        let laptop = xmpp_parsers::jid::ResourcePart::new("laptop").unwrap();
        let login = log_in(account(server, &alice).with_resource(&laptop)).await;
        let login = login.unwrap_or_else(|why| panic!("{}: {why}", server.kind()));
        assert_eq!(login.jid.resource().as_str(), "laptop");
    }
}

#[tokio::test]
async fn logs_in_with_a_name_that_scram_has_to_escape() {
    for server in servers().await {
        let name = format!("a=b,c=2C-{:08x}", rand::random::<u32>());
        let alice = server.add_account(&name, "pencil").await.unwrap();
        let login = log_in(account(server, &alice)).await;
        let login = login.unwrap_or_else(|why| panic!("{}: {why}", server.kind()));
        assert_eq!(login.jid.to_bare(), alice.jid);
    }
}

#[tokio::test]
async fn prepares_a_password_that_is_not_ascii() {
    for server in servers().await {
        let name = format!("alice-{:08x}", rand::random::<u32>());
        let written = "Straße\u{a0}\u{2168} ключ";
        let mut alice = server.add_account(&name, written).await.unwrap();
        assert_ne!(alice.password, written);
        alice.password = written.to_owned();
        let login = log_in(account(server, &alice)).await;
        login.unwrap_or_else(|why| panic!("{}: {why}", server.kind()));
    }
}

#[tokio::test]
async fn is_refused_with_a_wrong_password() {
    for server in servers().await {
        let mut alice = server.fresh_account("alice").await.unwrap();
        alice.password.push('x');
        let error = failure(account(server, &alice)).await;
        let kind = server.kind();
        assert!(
            matches!(error.reason(), LoginFailure::Refused(_)),
            "{kind}: {error}"
        );
        assert!(error.is_final(), "{kind}: {error}");
        assert_eq!(error.kind(), LoginErrorKind::NotAuthorised);
    }
}

#[tokio::test]
async fn trusts_no_server_that_nobody_vouches_for() {
    for server in servers().await {
        let alice = server.fresh_account("alice").await.unwrap();
        let address = server.address();
        let stranger = Account::new(alice.jid.into(), alice.password)
            .and_then(|account| account.with_server("127.0.0.1", address.port()))
            .unwrap();
        let error = failure(stranger).await;
        assert!(
            error.to_string().contains("if its CA is your own"),
            "{error}"
        );
        assert_eq!(error.kind(), LoginErrorKind::Untrusted);
    }
}
