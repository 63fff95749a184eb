//! Encryption of the session, and the proof that the server is the account's domain.

use std::io;
use std::sync::Arc;

use ring::digest::{self, Algorithm};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ProtocolVersion, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::{debug, warn};
use tubes_transport::Io;

use crate::login_error::{CertificateFault, LoginFailure};
use crate::sasl::Binding;

/// Knows whom to trust.
#[derive(Clone, Debug)]
pub(crate) struct Encryption(Arc<ClientConfig>);

impl Encryption {
    /// Trusts the system's certificate authorities, and these. Reads files: call it where
    /// blocking is allowed.
    pub(crate) fn load(extra: &[CertificateDer<'static>]) -> Result<Self, LoginFailure> {
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            warn!(%error, "a certificate authority of the system cannot be read");
        }
        let mut roots = RootCertStore::empty();
        // Each system has one or the other that rustls cannot read; the rest does.
        roots.add_parsable_certificates(system.certs);
        for root in extra {
            roots
                .add(root.clone())
                .map_err(|why| LoginFailure::Tls(format!("the CA file cannot be used: {why}")))?;
        }
        debug!(roots = roots.len(), "certificate authorities loaded");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|why| LoginFailure::Tls(why.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Says that it is XMPP before it is decrypted (XEP-0368 §3: ALPN), for direct TLS.
    pub(crate) fn announced(&self) -> Self {
        let mut config = (*self.0).clone();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Self(Arc::new(config))
    }

    /// Encrypts `io` towards whoever proves to be `domain`. The caller sets the deadline.
    pub(crate) async fn encrypt(
        &self,
        io: Box<dyn Io>,
        domain: &str,
    ) -> Result<Encrypted, LoginFailure> {
        let name = ServerName::try_from(domain.to_owned())
            .map_err(|_| LoginFailure::Tls(format!("no certificate can be for `{domain}`")))?;
        let connector = TlsConnector::from(Arc::clone(&self.0));
        let stream = connector
            .connect(name, io)
            .await
            .map_err(|error| failure(error, domain))?;
        Ok(Encrypted(stream))
    }
}

/// An encrypted stream to the right server.
pub(crate) struct Encrypted(TlsStream<Box<dyn Io>>);

impl Encrypted {
    /// What the login can be bound to, so that nobody in between can pass it on.
    pub(crate) fn bindings(&self) -> Vec<Binding> {
        let (_, tls) = self.0.get_ref();
        let mut bindings = Vec::new();
        // RFC 9266 §4.2: in TLS 1.2 it is safe only with an extension that rustls keeps to itself.
        if tls.protocol_version() == Some(ProtocolVersion::TLSv1_3)
            && let Ok(data) = tls.export_keying_material(vec![0; 32], EXPORTER, Some(&[]))
        {
            bindings.push(Binding::Exporter(data));
        }
        if let Some(leaf) = tls.peer_certificates().and_then(|chain| chain.first())
            && let Some(hash) = end_point_hash(leaf)
        {
            let data = digest::digest(hash, leaf).as_ref().to_vec();
            bindings.push(Binding::EndPoint(data));
        }
        bindings
    }

    /// The protocol's name for people.
    pub(crate) fn version(&self) -> &'static str {
        match self.0.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        }
    }

    pub(crate) fn into_io(self) -> Box<dyn Io> {
        Box::new(self.0)
    }
}

/// Why a handshake failed, in terms that say what to do about it.
fn failure(error: io::Error, domain: &str) -> LoginFailure {
    let Some(cause) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        return LoginFailure::io("setting up encryption")(error);
    };
    match cause {
        rustls::Error::InvalidCertificate(why) => LoginFailure::Certificate(fault(why, domain)),
        rustls::Error::NoCertificatesPresented => {
            LoginFailure::Certificate(CertificateFault::Invalid("there is none".to_owned()))
        }
        rustls::Error::InvalidMessage(_) => LoginFailure::NotTls,
        other => LoginFailure::Tls(other.to_string()),
    }
}

fn fault(why: &CertificateError, domain: &str) -> CertificateFault {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            CertificateFault::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CertificateFault::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertificateFault::WrongName(domain.to_owned())
        }
        // A CA in the place of a server's certificate is what many make as a self-signed one.
        CertificateError::UnknownIssuer => CertificateFault::UnknownIssuer,
        other => CertificateFault::Invalid(other.to_string()),
    }
}

/// The hash of `tls-server-end-point`: that of the certificate's signature, but at least SHA-256
/// (RFC 5929 §4.1). `None` where the RFC defines none.
fn end_point_hash(certificate: &[u8]) -> Option<&'static Algorithm> {
    // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID, … }, … }
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    let (oid, _) = element(algorithm, OID)?;
    let (RSA_SHA512 | ECDSA_SHA512) = oid else {
        return match oid {
            RSA_SHA384 | ECDSA_SHA384 => Some(&digest::SHA384),
            RSA_MD5 | RSA_SHA1 | RSA_SHA256 | ECDSA_SHA1 | ECDSA_SHA256 => Some(&digest::SHA256),
            _ => None,
        };
    };
    Some(&digest::SHA512)
}

/// Splits one DER element of this type off: its content, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    if length < 0x80 {
        return rest.split_at_checked(length.into());
    }
    let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
    let length = bytes.iter().try_fold(0usize, |length, &byte| {
        length.checked_mul(256)?.checked_add(byte.into())
    })?;
    rest.split_at_checked(length)
}

/// XEP-0368 §3.
const ALPN: &[u8] = b"xmpp-client";

/// RFC 9266 §4.1; the context is empty, the data are 32 octets.
const EXPORTER: &[u8] = b"EXPORTER-Channel-Binding";

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;

// RFC 8017, appendix C: 1.2.840.113549.1.1.{4, 5, 11, 12, 13}.
const RSA_MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4];
const RSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5];
const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
const RSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12];
const RSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13];
// RFC 5758 §3.2: 1.2.840.10045.4.1 and 1.2.840.10045.4.3.{2, 3, 4}.
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
const ECDSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

    use super::*;

    fn certificate(algorithm: &'static SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(["tubes.test".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn hashes_a_certificate_as_its_signature_does() {
        let p256 = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(end_point_hash(&p256), Some(&digest::SHA256));
        let p384 = certificate(&rcgen::PKCS_ECDSA_P384_SHA384);
        assert_eq!(end_point_hash(&p384), Some(&digest::SHA384));
    }

    #[test]
    fn knows_no_hash_for_a_signature_without_one() {
        let ed25519 = certificate(&rcgen::PKCS_ED25519);
        assert_eq!(end_point_hash(&ed25519), None);
    }

    #[test]
    fn survives_a_certificate_cut_anywhere() {
        let whole = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        for end in 0..whole.len() {
            let cut = whole.get(..end).unwrap();
            assert_eq!(end_point_hash(cut), None, "cut at {end}");
        }
    }

    #[test]
    fn refuses_a_length_beyond_everything() {
        assert_eq!(element(&[SEQUENCE, 0xff, 0xff], SEQUENCE), None);
        let mut long = vec![SEQUENCE, 0x89];
        long.extend([0xff; 9]);
        assert_eq!(element(&long, SEQUENCE), None);
    }
}
