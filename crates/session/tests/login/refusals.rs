//! Servers that say no, or nothing.

use std::future::pending;
use std::io::ErrorKind;

use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;
use tubes_session::{Account, LoginErrorKind, LoginFailure, Tls};

use crate::fake::{Client, SCRAM, listen};
use crate::{alice, failure};

/// Refuses one client with this condition.
async fn refuse(listener: &TcpListener, condition: &str) {
    let mut client = Client::accept(listener).await;
    client.offer(SCRAM).await;
    client.data("auth").await;
    client.sasl("failure", &format!("<{condition}/>")).await;
}

#[tokio::test]
async fn a_wrong_password_is_sent_once() {
    let (listener, port) = listen().await;
    let logging_in = failure(alice(port));
    let (error, ()) = tokio::join!(logging_in, refuse(&listener, "not-authorized"));
    // Nobody else waits in the kernel's queue.
    let again = listener.into_std().unwrap().accept().map(|_| ());
    assert_eq!(again.unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(error.is_final());
    assert_eq!(error.kind(), LoginErrorKind::NotAuthorised);
    let line = error.to_string();
    assert!(line.contains("alice@tubes.test"), "{line}");
    assert!(
        line.contains("check the account and the password"),
        "{line}"
    );
}

#[tokio::test]
async fn a_temporary_failure_is_not_final() {
    let (listener, port) = listen().await;
    let logging_in = failure(alice(port));
    let (error, ()) = tokio::join!(logging_in, refuse(&listener, "temporary-auth-failure"));
    assert!(!error.is_final());
    assert_eq!(error.kind(), LoginErrorKind::Unavailable);
}

#[tokio::test]
async fn a_disabled_account_is_said_to_be_so() {
    let (listener, port) = listen().await;
    let logging_in = failure(alice(port));
    let (error, ()) = tokio::join!(logging_in, refuse(&listener, "account-disabled"));
    assert!(
        error.to_string().contains("the account is disabled"),
        "{error}"
    );
    assert!(error.is_final());
}

#[tokio::test]
async fn a_refusal_for_an_unknown_reason_is_one() {
    let (listener, port) = listen().await;
    let logging_in = failure(alice(port));
    let (error, ()) = tokio::join!(logging_in, refuse(&listener, "moon-phase"));
    assert!(
        matches!(error.reason(), LoginFailure::Refused(_)),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_after_10_seconds() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let _silent = Client::accept(&listener).await;
        pending::<()>().await;
    });
    let begun = Instant::now();
    let error = failure(alice(port)).await;
    assert!(
        matches!(error.reason(), LoginFailure::TimedOut(_)),
        "{error}"
    );
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert!(!error.is_final());
}

#[tokio::test]
async fn a_server_that_falls_silent_during_the_login_is_given_up_after_30_seconds() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let mut client = Client::accept(&listener).await;
        client.offer(SCRAM).await;
        client.data("auth").await;
        // Not before: a paused clock does not wait for what is under way in the kernel.
        tokio::time::pause();
        pending::<()>().await;
    });
    let begun = Instant::now();
    let error = failure(alice(port)).await;
    assert!(
        matches!(error.reason(), LoginFailure::TimedOut(_)),
        "{error}"
    );
    assert!(begun.elapsed().as_secs() >= 29, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_without_encryption_is_not_logged_in_to() {
    let (listener, port) = listen().await;
    let server = tokio::spawn(async move {
        let mut client = Client::accept(&listener).await;
        let header = client.offer("<mechanism>PLAIN</mechanism>").await;
        assert!(!header.contains("alice"), "{header}");
    });
    let error = failure(alice(port).with_tls(Tls::StartTls).unwrap()).await;
    assert!(
        matches!(error.reason(), LoginFailure::NoEncryption),
        "{error}"
    );
    assert!(error.is_final());
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_binds_nothing_is_no_server() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let mut client = Client::accept(&listener).await;
        client.offer("<mechanism>PLAIN</mechanism>").await;
        client.data("auth").await;
        client.sasl("success", "").await;
        client.open("").await;
        pending::<()>().await;
    });
    let error = failure(alice(port)).await;
    assert_eq!(error.kind(), LoginErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn a_stream_error_is_passed_on() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let mut client = Client::accept(&listener).await;
        client.hear(">").await;
        client
            .say(
                "<stream:stream xmlns='jabber:client' version='1.0' \
                 xmlns:stream='http://etherx.jabber.org/streams'><stream:error>\
                 <host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            )
            .await;
    });
    let error = failure(alice(port)).await;
    assert!(error.to_string().contains("host-unknown"), "{error}");
    assert!(error.is_final());
}

#[tokio::test]
async fn a_server_that_is_not_there_may_come_back() {
    // Bound, and so not given to others; nobody listens.
    let keeper = TcpSocket::new_v4().unwrap();
    keeper.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = keeper.local_addr().unwrap().port();
    let error = failure(alice(port)).await;
    let line = error.to_string();
    assert!(line.contains(&format!("127.0.0.1:{port}")), "{line}");
    assert_eq!(error.kind(), LoginErrorKind::Unavailable);
    assert!(!error.is_final());
}

#[tokio::test]
async fn an_unknown_host_is_named() {
    let account = Account::new("alice@tubes.test".parse().unwrap(), "pencil").unwrap();
    let error = failure(account.with_server("nowhere.invalid", 5222).unwrap()).await;
    let line = error.to_string();
    assert!(
        line.contains("cannot find the server nowhere.invalid"),
        "{line}"
    );
    assert!(line.contains("name the server"), "{line}");
    assert_eq!(error.kind(), LoginErrorKind::Unavailable);
}
