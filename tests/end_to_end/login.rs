//! Logins that fail: why, and how soon.

use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::time::timeout;
use tubes::session::LoginErrorKind;
use tubes::{Account, StartError};
use tubes_server::Server;
use tubes_testkit::Link;

use crate::stage::{Person, credentials, lead};

crate::on_each_server!(
    a_wrong_password_is_tried_once,
    an_unknown_account_is_refused,
    a_server_that_nobody_vouches_for_is_not_trusted,
    a_server_of_another_domain_is_of_no_use,
);

async fn a_wrong_password_is_tried_once(server: &Server) {
    let mut account = server.fresh_account("alice").await.unwrap();
    account.password = "guessed".to_owned();
    let link = Link::to(server.address()).await.unwrap();
    let kind = failure(lead(&link, credentials(server, &account))).await;
    assert_eq!(kind, LoginErrorKind::NotAuthorised);
    assert_eq!(link.count(), 1);
}

async fn an_unknown_account_is_refused(server: &Server) {
    let mut account = server.fresh_account("alice").await.unwrap();
    account.jid = format!("nobody@{}", server.domain()).parse().unwrap();
    let kind = failure(credentials(server, &account)).await;
    assert_eq!(kind, LoginErrorKind::NotAuthorised);
}

async fn a_server_that_nobody_vouches_for_is_not_trusted(server: &Server) {
    let account = server.fresh_account("alice").await.unwrap();
    let address = server.address();
    let without_roots = Account::new(account.jid.into(), account.password).unwrap();
    let without_roots = without_roots
        .with_server(&address.ip().to_string(), address.port())
        .unwrap();
    assert_eq!(failure(without_roots).await, LoginErrorKind::Untrusted);
}

async fn a_server_of_another_domain_is_of_no_use(server: &Server) {
    let mut account = server.fresh_account("alice").await.unwrap();
    account.jid = "alice@example.org".parse().unwrap();
    let kind = failure(credentials(server, &account)).await;
    assert_eq!(kind, LoginErrorKind::Unavailable);
}

#[tokio::test]
async fn an_unknown_host_is_unavailable() {
    let account = alice().with_server("xmpp.invalid", 5222).unwrap();
    assert_eq!(failure(account).await, LoginErrorKind::Unavailable);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unavailable() {
    // Bound and not listening: nobody else can take it meanwhile.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = taken.local_addr().unwrap().port();
    let account = alice().with_server("127.0.0.1", port).unwrap();
    assert_eq!(failure(account).await, LoginErrorKind::Unavailable);
}

fn alice() -> Account {
    Account::new("alice@example.org".parse().unwrap(), "secret").unwrap()
}

/// How the login fails, which it must do quickly.
async fn failure(account: Account) -> LoginErrorKind {
    let logged_in = timeout(QUICKLY, Person::with(account)).await;
    match logged_in.unwrap().map(|person| person.jid) {
        Err(StartError::Login(why)) => why.kind(),
        other => panic!("expected a login that fails: {other:?}"),
    }
}

/// Longer than any one step of a login may take, and not what trying again and again takes.
const QUICKLY: Duration = Duration::from_secs(45);
