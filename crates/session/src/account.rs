//! Which account to log in to, and how to reach its server.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use xmpp_parsers::jid::{Jid, ResourceRef};
use zeroize::Zeroizing;

/// Which account to log in to, and how to reach its server.
///
/// ```
/// use std::time::Duration;
/// use tubes_session::{Account, Tls};
/// use xmpp_parsers::jid::ResourcePart;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let account = Account::new("alice@example.org".parse()?, "secret")?
///     .with_server("xmpp.example.org", 5223)?
///     .with_tls(Tls::Direct)?
///     .with_resource(&ResourcePart::new("desk")?)
///     .with_resume_limit(Duration::from_secs(30));
/// assert_eq!(account.jid().to_string(), "alice@example.org/desk");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Account {
    jid: Jid,
    password: Password,
    server: Option<(String, u16)>,
    tls: Option<Tls>,
    roots: Vec<CertificateDer<'static>>,
    resume_limit: Duration,
}

impl Account {
    /// The account of this JID. A resource in it is asked for, else the server makes one.
    ///
    /// # Errors
    ///
    /// [`AccountError::NoLocalPart`] for the JID of a server.
    pub fn new(jid: Jid, password: impl Into<Password>) -> Result<Self, AccountError> {
        if jid.node().is_none() {
            return Err(AccountError::NoLocalPart(jid));
        }
        Ok(Self {
            jid,
            password: password.into(),
            server: None,
            tls: None,
            roots: Vec::new(),
            resume_limit: RESUME_LIMIT,
        })
    }

    /// Connects to this server instead of asking DNS which one serves the account's domain.
    /// The server still has to prove that it is the account's domain.
    ///
    /// # Errors
    ///
    /// [`AccountError::NotLoopback`] together with [`Tls::None`].
    pub fn with_server(mut self, host: &str, port: u16) -> Result<Self, AccountError> {
        self.server = Some((bare_host(host).to_owned(), port));
        self.checked()
    }

    /// Encrypts in this way and no other. By default DNS says how; if it says nothing,
    /// [`Tls::StartTls`].
    ///
    /// # Errors
    ///
    /// [`AccountError::NotLoopback`]: [`Tls::None`] is for servers on this machine. The address
    /// that a name resolves to is checked again before anything is said.
    pub fn with_tls(mut self, tls: Tls) -> Result<Self, AccountError> {
        self.tls = Some(tls);
        self.checked()
    }

    /// Trusts this certificate authority in addition to the system's.
    #[must_use]
    pub fn with_root(mut self, root: CertificateDer<'static>) -> Self {
        self.roots.push(root);
        self
    }

    /// Trusts the certificate authorities of a PEM file in addition to the system's.
    ///
    /// # Errors
    ///
    /// [`AccountError::NotPem`] if nothing in it is a certificate.
    pub fn with_roots_pem(mut self, pem: &[u8]) -> Result<Self, AccountError> {
        let roots = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        match roots {
            Ok(roots) if !roots.is_empty() => {
                self.roots.extend(roots);
                Ok(self)
            }
            _ => Err(AccountError::NotPem),
        }
    }

    /// Asks for this resource.
    #[must_use]
    pub fn with_resource(mut self, resource: &ResourceRef) -> Self {
        self.jid = self.jid.to_bare().with_resource(resource).into();
        self
    }

    /// How long a session that lost its connection waits to be resumed, counted from when the
    /// server was last heard; 110 seconds by default.
    ///
    /// Until then the bytestreams on it pause; then they end with an error. A server may forget
    /// the session sooner.
    #[must_use]
    pub fn with_resume_limit(self, resume_limit: Duration) -> Self {
        Self {
            resume_limit,
            ..self
        }
    }

    /// The account, with the resource to ask for, if any.
    pub fn jid(&self) -> &Jid {
        &self.jid
    }

    pub(crate) fn password(&self) -> &Password {
        &self.password
    }

    pub(crate) fn server(&self) -> Option<(&str, u16)> {
        self.server.as_ref().map(|(host, port)| (&**host, *port))
    }

    pub(crate) fn tls(&self) -> Option<Tls> {
        self.tls
    }

    pub(crate) fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    pub(crate) fn resume_limit(&self) -> Duration {
        self.resume_limit
    }

    /// The domain without the brackets of an IPv6 address.
    pub(crate) fn domain(&self) -> &str {
        bare_host(self.jid.domain().as_str())
    }

    fn checked(self) -> Result<Self, AccountError> {
        let (Some(Tls::None), Some((host, _))) = (self.tls, &self.server) else {
            return Ok(self);
        };
        match host.parse::<IpAddr>() {
            Ok(address) if !address.to_canonical().is_loopback() => {
                Err(AccountError::NotLoopback(host.clone()))
            }
            _ => Ok(self),
        }
    }
}

/// A password. Nothing prints it, and it is wiped when it is dropped. (The libraries that it is handed to
/// at a login are not as careful.)
///
/// ```
/// use tubes_session::{Account, Password};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let password = Password::from("secret");
/// assert!(!format!("{password:?}").contains("secret"));
/// let account = Account::new("alice@example.org".parse()?, password)?;
/// assert!(!format!("{account:?}").contains("secret"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Password {
    fn from(password: T) -> Self {
        Self(Zeroizing::new(password.into()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// How a session is encrypted.
///
/// ```
/// use tubes_session::{Account, AccountError, Tls};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let account = Account::new("alice@localhost".parse()?, "secret")?.with_tls(Tls::None)?;
/// assert!(account.clone().with_server("127.0.0.1", 5222).is_ok());
/// // What leaves this machine is encrypted.
/// let elsewhere = account.with_server("192.0.2.1", 5222);
/// assert!(matches!(elsewhere, Err(AccountError::NotLoopback(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte (XEP-0368).
    Direct,
    /// Not at all; for a server on this machine.
    None,
    /// After a plain beginning (RFC 6120 §5).
    StartTls,
}

/// Why something is no account.
///
/// ```
/// use tubes_session::{Account, AccountError};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Account::new("example.org".parse()?, "secret");
/// assert!(matches!(server, Err(AccountError::NoLocalPart(_))));
/// let account = Account::new("alice@example.org".parse()?, "secret")?;
/// let nothing = account.with_roots_pem(b"not a certificate");
/// assert!(matches!(nothing, Err(AccountError::NotPem)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The JID has nothing before an `@`.
    #[error("`{0}` names a server, not an account; write NAME@{0}")]
    NoLocalPart(Jid),
    /// A session without encryption would leave this machine.
    #[error("`{0}` is not on this machine, so the session must be encrypted")]
    NotLoopback(String),
    /// The file holds no certificate.
    #[error("no certificate found; a CA file holds `BEGIN CERTIFICATE` blocks (PEM)")]
    NotPem,
}

/// Longer than most outages, and short enough that nobody waits longer than two minutes to learn
/// that a connection is lost.
pub(crate) const RESUME_LIMIT: Duration = Duration::from_secs(110);

/// A host without the brackets of an IPv6 address.
fn bare_host(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn alice() -> Account {
        Account::new("alice@tubes.test".parse().unwrap(), "secret").unwrap()
    }

    #[test]
    fn refuses_a_jid_without_a_local_part() {
        let jid: Jid = "tubes.test/laptop".parse().unwrap();
        let error = Account::new(jid.clone(), "secret").unwrap_err();
        assert_eq!(error, AccountError::NoLocalPart(jid));
    }

    #[test]
    fn refuses_an_unencrypted_session_beyond_this_machine() {
        for host in ["192.0.2.1", "[2001:db8::1]", "::ffff:192.0.2.1"] {
            let remote = alice().with_server(host, 5222).unwrap();
            let error = remote.with_tls(Tls::None).unwrap_err();
            assert!(matches!(error, AccountError::NotLoopback(_)), "{error}");
            let plain = alice().with_tls(Tls::None).unwrap();
            let error = plain.with_server(host, 5222).unwrap_err();
            assert!(matches!(error, AccountError::NotLoopback(_)), "{error}");
        }
    }

    #[test]
    fn accepts_an_unencrypted_session_on_this_machine() {
        for host in ["127.0.0.1", "[::1]", "localhost", "::ffff:127.0.0.1"] {
            let local = alice().with_server(host, 5222).unwrap();
            assert!(local.with_tls(Tls::None).is_ok(), "{host}");
        }
    }

    #[test]
    fn never_prints_the_password() {
        assert!(!format!("{:?}", alice()).contains("secret"));
    }

    #[test]
    fn takes_the_certificates_of_a_pem_file() {
        let key = rcgen::generate_simple_self_signed(["tubes.test".to_owned()]).unwrap();
        let account = alice().with_roots_pem(key.cert.pem().as_bytes()).unwrap();
        assert_eq!(account.roots(), [key.cert.der().clone()]);
    }

    #[test]
    fn refuses_a_file_without_certificates() {
        let error = alice().with_roots_pem(b"hello").unwrap_err();
        assert_eq!(error, AccountError::NotPem);
    }

    #[test]
    fn replaces_the_resource() {
        let account = Account::new("alice@tubes.test/old".parse().unwrap(), "secret").unwrap();
        let resource = xmpp_parsers::jid::ResourcePart::new("new").unwrap();
        let account = account.with_resource(&resource);
        assert_eq!(account.jid().to_string(), "alice@tubes.test/new");
    }
}
