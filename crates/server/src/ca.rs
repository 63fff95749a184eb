//! A throwaway certificate authority, and the one certificate it ever signs.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::StartError;

/// The certificate of the throwaway authority: clients take it as an additional root.
#[derive(Clone, Debug)]
pub struct Ca {
    pem: String,
    der: CertificateDer<'static>,
}

impl Ca {
    /// The certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificate in DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }
}

/// What the server shows for its domain.
pub(crate) struct Identity {
    pub(crate) ca: Ca,
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Identity {
    /// Makes an authority and lets it sign one certificate for `domain`; its key is dropped.
    pub(crate) fn new(domain: &str) -> Result<Self, StartError> {
        Self::sign(domain).map_err(|why| StartError::Certificate(why.to_string()))
    }

    fn sign(domain: &str) -> Result<Self, rcgen::Error> {
        let mut root = CertificateParams::new(Vec::new())?;
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        root.distinguished_name
            .push(DnType::CommonName, format!("Throwaway CA of {domain}"));
        root.not_after = date_time_ymd(LAST_YEAR, 12, 31);
        let root_key = KeyPair::generate()?;
        let root_certificate = root.self_signed(&root_key)?;

        let mut leaf = CertificateParams::new(vec![domain.to_owned()])?;
        leaf.distinguished_name.push(DnType::CommonName, domain);
        leaf.not_after = date_time_ymd(LAST_YEAR, 12, 31);
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &Issuer::new(root, root_key))?;
        Ok(Self {
            ca: Ca {
                pem: root_certificate.pem(),
                der: root_certificate.der().clone(),
            },
            certificate,
            key,
        })
    }

    /// The certificate for the domain, in PEM.
    pub(crate) fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// Its private key, in PEM.
    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The accepting side of TLS.
    pub(crate) fn tls(&self) -> Result<rustls::ServerConfig, StartError> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|why| StartError::Certificate(why.to_string()))?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.der().clone()], key)
            .map_err(|why| StartError::Certificate(why.to_string()))
    }
}

/// Ring, named: the process may have no default provider, or another one.
pub(crate) fn provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::ring::default_provider())
}

/// The last year of two digits (RFC 5280 §4.1.2.5.1). ejabberd 23.01 refuses rcgen's year 4096.
const LAST_YEAR: i32 = 2049;
