//! TLS 1.3 with nothing but the two keys (RFC 8446, RFC 7250).
//!
//! The responder is the client of TLS: it can speak as soon as the bytestream is open, so that a
//! service that speaks first is heard after one round trip.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig,
    SignatureScheme,
};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tubes_transport::{Bytestream, Io, Role};

use crate::stream::{Below, Sealed};
use crate::{Binding, Identity, PublicKey, SecureError};

/// Encrypts an open bytestream towards the device that has this key, and no other.
///
/// At the requester it is done when the peer has proven its key, and that it was asked what this
/// side asked. At the responder the latter shows with the first that is read. A direction ends by
/// a message of TLS, and an end without one is an error.
///
/// Dropping the future breaks the bytestream.
///
/// # Errors
///
/// [`SecureError::Untrusted`] when it is somebody else, or somebody has changed what was said; other
/// errors when the bytestream broke or nobody answered.
pub async fn seal(
    stream: Bytestream,
    role: Role,
    identity: &Identity,
    peer: PublicKey,
    binding: &Binding,
) -> Result<Bytestream, SecureError> {
    let sealing = stream.try_map(|io| async {
        match timeout(HANDSHAKE, shake(io, role, identity, peer, binding)).await {
            Ok(sealed) => sealed.map_err(SecureError::of),
            Err(_) => Err(SecureError::TimedOut),
        }
    });
    Ok(sealing.await?.with_half_close())
}

async fn shake(
    io: Box<dyn Io>,
    role: Role,
    identity: &Identity,
    peer: PublicKey,
    binding: &Binding,
) -> io::Result<Sealed> {
    let below = Below::new(io);
    let expected = Expected::new(peer);
    let (tls, tokens): (TlsStream<Below>, _) = match role {
        Role::Requester => {
            let config = server(identity, expected).map_err(io::Error::other)?;
            let tls = TlsAcceptor::from(Arc::new(config)).accept(below).await?;
            let tokens = binding.tokens(tls.get_ref().1);
            (tls.into(), tokens)
        }
        Role::Responder => {
            let config = client(identity, expected).map_err(io::Error::other)?;
            // It names nobody: the key is who it is.
            let name = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
            let tls = TlsConnector::from(Arc::new(config))
                .connect(name, below)
                .await?;
            let tokens = binding.tokens(tls.get_ref().1);
            (tls.into(), tokens)
        }
    };
    let (ours, theirs) = tokens.map_err(io::Error::other)?.of(role);
    let mut sealed = Sealed::new(tls, theirs);
    sealed.introduce(&ours).await?;
    if role == Role::Requester {
        sealed.introduced().await?;
    }
    Ok(sealed)
}

fn server(identity: &Identity, peer: Arc<Expected>) -> Result<ServerConfig, rustls::Error> {
    let keys = AlwaysResolvesServerRawPublicKeys::new(identity.certified());
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(peer)
        .with_cert_resolver(Arc::new(keys));
    // Each bytestream is a negotiation of its own, and resumes none.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client(identity: &Identity, peer: Arc<Expected>) -> Result<ClientConfig, rustls::Error> {
    let keys = AlwaysResolvesClientRawPublicKeys::new(identity.certified());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(peer)
        .with_client_cert_resolver(Arc::new(keys));
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// The algorithms, which all bytestreams share.
fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    &PROVIDER
}

/// The one key that the peer may prove.
#[derive(Debug)]
struct Expected {
    spki: Vec<u8>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Expected {
    fn new(peer: PublicKey) -> Arc<Self> {
        Arc::new(Self {
            spki: peer.to_spki(),
            algorithms: provider().signature_verification_algorithms,
        })
    }

    /// Whether this is the key. That the peer has its secret half is for the signature to say.
    fn check(&self, key: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        match key.as_ref() == self.spki {
            true => Ok(()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        rustls::crypto::verify_tls13_signature_with_raw_key(
            message,
            &key,
            signature,
            &self.algorithms,
        )
    }

    /// TLS 1.2 is not spoken here.
    fn refuse() -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }
}

impl ServerCertVerifier for Expected {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(key).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Self::refuse()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Expected {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(key).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Self::refuse()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// For a round trip and a half, through servers that may be slow.
const HANDSHAKE: Duration = Duration::from_secs(60);
