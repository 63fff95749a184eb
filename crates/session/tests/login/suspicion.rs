//! Servers that are not to be believed.

use std::future::pending;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tubes_session::{LoginErrorKind, LoginFailure, Session, Tls};

use crate::fake::{Client, SCRAM, listen};
use crate::{alice, failure};

#[tokio::test]
async fn a_success_without_a_challenge_proves_nothing() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let mut client = Client::accept(&listener).await;
        client.offer(SCRAM).await;
        client.data("auth").await;
        client.sasl("success", "").await;
        pending::<()>().await;
    });
    let error = failure(alice(port)).await;
    assert!(matches!(error.reason(), LoginFailure::NotProven), "{error}");
    assert_eq!(error.kind(), LoginErrorKind::Untrusted);
    assert!(error.is_final());
}

#[tokio::test]
async fn a_success_without_a_signature_proves_nothing() {
    for last in ["", "v=", "v=AAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
        let (listener, port) = listen().await;
        tokio::spawn(async move {
            let mut client = Client::accept(&listener).await;
            client.offer(SCRAM).await;
            client.challenge().await;
            client.data("response").await;
            client.sasl("success", &BASE64.encode(last)).await;
            pending::<()>().await;
        });
        let error = failure(alice(port)).await;
        assert!(matches!(error.reason(), LoginFailure::NotProven), "{error}");
    }
}

#[tokio::test]
async fn a_last_challenge_with_a_wrong_signature_proves_nothing() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let mut client = Client::accept(&listener).await;
        client.offer(SCRAM).await;
        client.challenge().await;
        client.data("response").await;
        client.sasl("challenge", &BASE64.encode("v=AAAA")).await;
        pending::<()>().await;
    });
    let error = failure(alice(port)).await;
    assert!(matches!(error.reason(), LoginFailure::NotProven), "{error}");
}

#[tokio::test]
async fn what_was_said_before_the_encryption_is_not_taken_for_encrypted() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let mut client = Client::accept(&listener).await;
        let features = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        client.open(features).await;
        client.hear("xmpp-tls").await;
        client
            .say("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><stream:features/>")
            .await;
        pending::<()>().await;
    });
    let error = failure(alice(port).with_tls(Tls::StartTls).unwrap()).await;
    assert_eq!(error.kind(), LoginErrorKind::Protocol, "{error}");
    assert!(error.to_string().contains("in the clear"), "{error}");
}

#[tokio::test]
async fn an_endless_offer_ends() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let mut client = Client::accept(&listener).await;
        let mechanisms: String = (0..100_000)
            .map(|i| format!("<mechanism>X{i}</mechanism>"))
            .collect();
        client.offer(&mechanisms).await;
        pending::<()>().await;
    });
    let error = failure(alice(port)).await;
    assert_eq!(error.kind(), LoginErrorKind::Protocol, "{error}");
    assert!(error.to_string().contains("more data"), "{error}");
}

#[tokio::test]
async fn a_session_takes_more_than_a_login() {
    let (listener, port) = listen().await;
    let logging_in = tokio::spawn(Session::start(alice(port), Vec::new()));
    let mut client = Client::accept(&listener).await;
    client.offer("<mechanism>PLAIN</mechanism>").await;
    client.data("auth").await;
    client.sasl("success", "").await;
    client.bind().await;
    let (_session, _events) = logging_in.await.unwrap().unwrap();
    let headline = format!(
        "<message type='headline'><body>{}</body></message>",
        "x".repeat(64 * 1024)
    );
    for _ in 0..32 {
        client.say(&headline).await;
    }
    client
        .say("<iq type='get' id='after'><ping xmlns='urn:xmpp:ping'/></iq>")
        .await;
    client.hear("after").await;
}

#[tokio::test]
async fn rubbish_is_an_error() {
    for rubbish in ["HTTP/1.1 400 Bad Request\r\n\r\n", "<a/>", "\u{0}", "]]>"] {
        let (listener, port) = listen().await;
        tokio::spawn(async move {
            let mut client = Client::accept(&listener).await;
            client.say(rubbish).await;
            client.hear(">").await;
            // Closed with everything read, so that the client reads the end and not a reset.
        });
        let error = failure(alice(port)).await;
        assert!(!error.is_final(), "{rubbish}: {error}");
    }
}
