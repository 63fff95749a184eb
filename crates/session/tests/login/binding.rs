//! Logins to a fake server that encrypts and proves itself, bound to the encryption or not.

use std::future::pending;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{hmac, pbkdf2};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tubes_session::{Account, CertificateFault, LoginFailure, Tls};

use crate::fake::{Client, listen};
use crate::{alice, failure, log_in};

/// A server's key with its self-signed certificate.
struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    fn new(change: impl FnOnce(&mut rcgen::CertificateParams)) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["tubes.test".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    /// Alice, who trusts this server.
    fn alice(&self, port: u16) -> Account {
        let account = alice(port).with_root(self.certificate.clone());
        account.with_tls(Tls::Direct).unwrap()
    }

    async fn accept(
        &self,
        listener: &TcpListener,
        versions: &[&'static SupportedProtocolVersion],
    ) -> std::io::Result<Client<TlsStream<TcpStream>>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![self.certificate.clone()],
                PrivatePkcs8KeyDer::from(self.key.clone()).into(),
            )
            .unwrap();
        config.alpn_protocols = vec![b"xmpp-client".to_vec()];
        let io = Client::accept(listener).await.into_inner();
        let io = TlsAcceptor::from(Arc::new(config)).accept(io).await?;
        Ok(Client::new(io))
    }
}

/// Proves to know that the password is "pencil" (SCRAM-SHA-256), and returns the client's `c=`.
async fn prove(client: &mut Client<TlsStream<TcpStream>>, first: &str) -> Vec<u8> {
    let (_, bare) = first.split_once(",,").unwrap();
    let (_, nonce) = bare.split_once("r=").unwrap();
    let challenge = format!("r={nonce}server,s={},i=4096", BASE64.encode("salt"));
    client.sasl("challenge", &BASE64.encode(&challenge)).await;
    let last = client.data("response").await;
    let (unproven, _) = last.split_once(",p=").unwrap();
    let mut salted = [0; 32];
    let iterations = 4096.try_into().unwrap();
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, iterations, b"salt", b"pencil", &mut salted);
    let sign = |key: &[u8], data: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    let server_key = sign(&salted, b"Server Key");
    let message = format!("{bare},{challenge},{unproven}");
    let signature = sign(server_key.as_ref(), message.as_bytes());
    let last = format!("v={}", BASE64.encode(signature));
    client.sasl("success", &BASE64.encode(last)).await;
    let (bound, _) = unproven.split_once(",r=").unwrap();
    BASE64.decode(bound.strip_prefix("c=").unwrap()).unwrap()
}

/// Logs in to a server with these features: the flag of the client, and what it is bound to.
async fn bound(
    versions: &[&'static SupportedProtocolVersion],
    features: &str,
) -> (String, Vec<u8>, Vec<u8>) {
    let identity = Identity::new(|_| {});
    let (listener, port) = listen().await;
    let logging_in = tokio::spawn(log_in(identity.alice(port)));
    let mut client = identity.accept(&listener, versions).await.unwrap();
    let header = client.open(features).await;
    assert!(header.contains("alice@tubes.test"), "{header}");
    let first = client.data("auth").await;
    let bound = prove(&mut client, &first).await;
    client.bind().await;
    let login = logging_in.await.unwrap().unwrap();
    assert_eq!(login.jid.to_string(), "alice@tubes.test/laptop");
    let io = client.into_inner();
    let (_, tls) = io.get_ref();
    assert_eq!(tls.alpn_protocol(), Some(&b"xmpp-client"[..]));
    let exported = tls.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", Some(b""));
    let (flag, _) = first.split_once(",,").unwrap();
    (flag.to_owned(), bound, exported.unwrap())
}

const PLUS: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-256-PLUS</mechanism></mechanisms>";

const SCRAM: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>SCRAM-SHA-256</mechanism><mechanism>PLAIN</mechanism></mechanisms>";

const ONE_THREE: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

const ONE_TWO: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

/// Offers to bind in this way (XEP-0440).
fn listing(type_: &str) -> String {
    format!(
        "{PLUS}<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>\
         <channel-binding type='{type_}'/></sasl-channel-binding>"
    )
}

#[tokio::test]
async fn binds_to_the_key_of_tls_1_3() {
    let (flag, bound, exported) = bound(ONE_THREE, &listing("tls-exporter")).await;
    assert_eq!(flag, "p=tls-exporter");
    assert_eq!(bound, [b"p=tls-exporter,,", &exported[..]].concat());
}

#[tokio::test]
async fn binds_to_the_certificate_under_tls_1_2() {
    let (flag, bound, _) = bound(ONE_TWO, &listing("tls-server-end-point")).await;
    assert_eq!(flag, "p=tls-server-end-point");
    assert_eq!(bound.len(), b"p=tls-server-end-point,,".len() + 32);
}

#[tokio::test]
async fn says_that_it_could_have_bound() {
    let (flag, bound, _) = bound(ONE_THREE, SCRAM).await;
    assert_eq!(flag, "y");
    assert_eq!(bound, b"y,,");
}

#[tokio::test]
async fn sends_the_password_to_a_trusted_server_that_knows_nothing_better() {
    let identity = Identity::new(|_| {});
    let (listener, port) = listen().await;
    let logging_in = tokio::spawn(log_in(identity.alice(port)));
    let mut client = identity.accept(&listener, ONE_THREE).await.unwrap();
    client.offer("<mechanism>PLAIN</mechanism>").await;
    assert_eq!(client.data("auth").await, "\0alice\0pencil");
    client.sasl("success", "").await;
    client.bind().await;
    assert_eq!(logging_in.await.unwrap().unwrap().tls, Some("TLSv1.3"));
}

/// The fault that is found with this server's certificate.
async fn fault(
    change: impl FnOnce(&mut rcgen::CertificateParams),
    trust: impl FnOnce(&Identity, u16) -> Account,
) -> CertificateFault {
    let identity = Identity::new(change);
    let (listener, port) = listen().await;
    let account = trust(&identity, port);
    tokio::spawn(async move {
        // The client hangs up in the middle.
        let _ = identity.accept(&listener, ONE_THREE).await;
        pending::<()>().await;
    });
    let error = failure(account).await;
    assert!(error.is_final(), "{error}");
    match error.reason() {
        LoginFailure::Certificate(fault) => fault.clone(),
        _ => panic!("{error}"),
    }
}

#[tokio::test]
async fn says_that_a_certificate_is_not_trusted() {
    let stranger = |_: &Identity, port| alice(port).with_tls(Tls::Direct).unwrap();
    let fault = fault(|_| {}, stranger).await;
    assert_eq!(fault, CertificateFault::UnknownIssuer);
    assert!(
        fault.to_string().contains("if its CA is your own"),
        "{fault}"
    );
}

#[tokio::test]
async fn says_that_a_certificate_has_expired() {
    let past = |params: &mut rcgen::CertificateParams| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    };
    let fault = fault(past, Identity::alice).await;
    assert_eq!(fault, CertificateFault::Expired);
}

#[tokio::test]
async fn says_that_a_certificate_is_for_somebody_else() {
    let other = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("other.test".try_into().unwrap())];
    };
    let fault = fault(other, Identity::alice).await;
    assert_eq!(fault, CertificateFault::WrongName("tubes.test".to_owned()));
}
