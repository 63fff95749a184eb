//! The way from an account to an authenticated stream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio_xmpp::stanzastream::Connection;
use tracing::debug;
use tubes_transport::Io;
use xmpp_parsers::jid::BareJid;

use crate::account::{Account, Tls};
use crate::dns::{self, Target};
use crate::event::Terms;
use crate::filter::{CutAnswers, LastWords};
use crate::handshake::{self, LoggedIn, within};
use crate::login_error::{LoginError, LoginFailure, Occasion};
use crate::sasl::Security;
use crate::tcp::{Pulse, Socket};
use crate::tls::Encryption;

/// Logs one account in, as often as needed. Clones share what they have learned.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    account: Arc<Account>,
    encryption: Arc<OnceCell<Encryption>>,
    succeeded: Arc<AtomicBool>,
    cut_answers: CutAnswers,
}

/// An authenticated stream without a resource.
pub(crate) struct Established {
    pub(crate) connection: Connection,
    /// The server: `host:port`.
    pub(crate) server: String,
    /// The version of TLS.
    pub(crate) tls: Option<&'static str>,
    /// When the server was last heard.
    pub(crate) pulse: Pulse,
    /// Why the server will have ended it.
    pub(crate) last_words: LastWords,
    pub(crate) terms: Terms,
}

impl Connector {
    /// Nothing is done yet.
    pub(crate) fn new(account: Account) -> Self {
        Self {
            account: Arc::new(account),
            encryption: Arc::default(),
            succeeded: Arc::default(),
            cut_answers: CutAnswers::default(),
        }
    }

    /// Which answers are not the whole, over all connections.
    pub(crate) fn cut_answers(&self) -> CutAnswers {
        self.cut_answers.clone()
    }

    /// Another program has taken the address over: nothing is to be tried again.
    pub(crate) fn replaced(&self) -> LoginError {
        let account = self.account.jid().to_bare();
        LoginError::new(account, Occasion::Again, LoginFailure::Replaced)
    }

    /// Tries each server at each of its addresses until one lets the account in. Every step has
    /// its deadline. Cancel safe: dropping the future closes what was opened.
    ///
    /// A server that refuses the account ends it at once: a wrong password is sent once. Of all
    /// other failures the one that says most is returned.
    pub(crate) async fn connect(&self) -> Result<Established, LoginError> {
        let domain = ascii(self.account.domain());
        let targets = dns::targets(&self.account, &domain);
        let result = match targets.await {
            Ok(targets) => self.try_all(targets, &domain).await,
            Err(failure) => Err(failure),
        };
        match result {
            Ok(established) => {
                self.succeeded.store(true, Ordering::Relaxed);
                Ok(established)
            }
            Err(failure) => {
                let occasion = match self.succeeded.load(Ordering::Relaxed) {
                    true => Occasion::Again,
                    false => Occasion::First,
                };
                let account: BareJid = self.account.jid().to_bare();
                Err(LoginError::new(account, occasion, failure))
            }
        }
    }

    async fn try_all(
        &self,
        targets: Vec<Target>,
        domain: &str,
    ) -> Result<Established, LoginFailure> {
        let mut failed = Failed::default();
        let mut tries = 0;
        for target in targets {
            let addresses = match target.resolve().await {
                Ok(addresses) => addresses,
                Err(failure) => {
                    failed.add(failure);
                    continue;
                }
            };
            for address in addresses {
                if tries == MOST_TRIES {
                    return Err(failed.into_failure(domain));
                }
                tries += 1;
                match self.try_one(&target, address, domain).await {
                    Ok(established) => return Ok(established),
                    Err(failure) if failure.concerns_account() => return Err(failure),
                    Err(failure) => {
                        debug!(%address, why = %failure, "login failed");
                        failed.add(failure);
                    }
                }
            }
        }
        Err(failed.into_failure(domain))
    }

    async fn try_one(
        &self,
        target: &Target,
        address: SocketAddr,
        domain: &str,
    ) -> Result<Established, LoginFailure> {
        // A name can resolve to anything.
        if target.tls == Tls::None && !address.ip().to_canonical().is_loopback() {
            return Err(LoginFailure::NotLoopback(address.ip().to_string()));
        }
        let socket = within(TCP, "connecting", async {
            let connected = Socket::connect(address).await;
            connected.map_err(|why| LoginFailure::Unreachable(format!("{address} ({why})")))
        })
        .await?;
        let (allowance, pulse) = (socket.allowance(), socket.pulse());
        let (io, security, tls) = self.secure(Box::new(socket), target.tls, domain).await?;
        let LoggedIn {
            connection,
            last_words,
            terms,
        } = handshake::log_in(io, &security, &self.account, self.cut_answers()).await?;
        allowance.lift();
        Ok(Established {
            connection,
            server: name(target),
            tls,
            pulse,
            last_words,
            terms,
        })
    }

    /// Encrypts, as far as wanted.
    async fn secure(
        &self,
        io: Box<dyn Io>,
        tls: Tls,
        domain: &str,
    ) -> Result<(Box<dyn Io>, Security, Option<&'static str>), LoginFailure> {
        let (io, encryption) = match tls {
            Tls::None => return Ok((io, Security::Loopback, None)),
            Tls::Direct => (io, self.encryption().await?.announced()),
            Tls::StartTls => {
                let io = handshake::start_tls(io, &self.account).await?;
                (io, self.encryption().await?.clone())
            }
        };
        let encrypted = encryption.encrypt(io, domain);
        let encrypted = within(TLS, "setting up encryption", encrypted).await?;
        let security = Security::Tls(encrypted.bindings());
        let version = encrypted.version();
        Ok((encrypted.into_io(), security, Some(version)))
    }

    /// The system's certificate authorities are read once.
    async fn encryption(&self) -> Result<&Encryption, LoginFailure> {
        self.encryption
            .get_or_try_init(|| async {
                let account = Arc::clone(&self.account);
                tokio::task::spawn_blocking(move || Encryption::load(account.roots()))
                    .await
                    .map_err(|why| LoginFailure::Tls(why.to_string()))?
            })
            .await
    }
}

/// What went wrong so far.
#[derive(Default)]
struct Failed(Option<LoginFailure>);

impl Failed {
    fn add(&mut self, failure: LoginFailure) {
        self.0 = Some(match self.0.take() {
            Some(LoginFailure::Unreachable(before)) => match failure {
                LoginFailure::Unreachable(now) => {
                    LoginFailure::Unreachable(format!("{before}, {now}"))
                }
                other => other,
            },
            Some(before) if before.weight() >= failure.weight() => before,
            _ => failure,
        });
    }

    fn into_failure(self, domain: &str) -> LoginFailure {
        self.0.unwrap_or_else(|| LoginFailure::HostUnknown {
            host: domain.to_owned(),
            why: "it has no address".to_owned(),
        })
    }
}

/// The server's name for people.
fn name(target: &Target) -> String {
    match target.host.contains(':') {
        true => format!("[{}]:{}", target.host, target.port),
        false => format!("{}:{}", target.host, target.port),
    }
}

/// The domain as DNS and certificates have it.
fn ascii(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned())
}

/// Where a packet is answered at all, it is answered sooner.
const TCP: Duration = Duration::from_secs(10);

/// Two or three round trips and some arithmetic.
const TLS: Duration = Duration::from_secs(10);

/// Addresses that are tried in one login, over all servers.
const MOST_TRIES: usize = 16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const REFUSAL: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>";

    /// A server that says this to the login of its only client, and then ends.
    async fn server(answer: String) -> (Target, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
            tls: Tls::None,
        };
        let header = "<stream:stream xmlns='jabber:client' version='1.0' \
            xmlns:stream='http://etherx.jabber.org/streams'><stream:features>\
            <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1\
            </mechanism></mechanisms></stream:features>";
        let running = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            client.write_all(header.as_bytes()).await.unwrap();
            let mut heard = String::new();
            while !heard.contains("</auth>") {
                let byte = client.read_u8().await.unwrap();
                heard.push(byte.into());
            }
            client.write_all(answer.as_bytes()).await.unwrap();
        });
        (target, running)
    }

    async fn failure(targets: Vec<Target>) -> LoginFailure {
        let account = Account::new("alice@tubes.test".parse().unwrap(), "secret").unwrap();
        let connector = Connector::new(account);
        let result = connector.try_all(targets, "tubes.test").await;
        result.err().unwrap()
    }

    #[tokio::test]
    async fn tries_the_next_server_after_a_temporary_failure() {
        let failing = format!("{REFUSAL}<temporary-auth-failure/></failure>");
        let (first, _) = server(failing.clone()).await;
        let (second, asked) = server(failing).await;
        let why = failure(vec![first, second]).await;
        assert!(matches!(why, LoginFailure::TemporaryFailure(_)), "{why}");
        asked.await.unwrap();
    }

    #[tokio::test]
    async fn tries_no_other_server_after_a_refusal() {
        let refusing = format!("{REFUSAL}<not-authorized/></failure>");
        let (first, _) = server(refusing.clone()).await;
        let (second, asked) = server(refusing).await;
        let why = failure(vec![first, second]).await;
        assert!(matches!(why, LoginFailure::Refused(_)), "{why}");
        assert!(!asked.is_finished());
    }

    #[tokio::test]
    async fn returns_the_failure_that_says_most() {
        let nobody = Target {
            host: "127.0.0.1".to_owned(),
            port: 1,
            tls: Tls::None,
        };
        let (rude, _) = server("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".into()).await;
        let why = failure(vec![nobody.clone(), rude, nobody]).await;
        assert!(matches!(why, LoginFailure::NotProven), "{why}");
    }

    #[tokio::test]
    async fn sends_nothing_unencrypted_to_another_machine() {
        let remote = Target {
            host: "192.0.2.1".to_owned(),
            port: 5222,
            tls: Tls::None,
        };
        let why = failure(vec![remote]).await;
        assert!(matches!(why, LoginFailure::NotLoopback(_)), "{why}");
    }

    #[tokio::test]
    async fn forgives_the_network_once_it_has_logged_in() {
        let account = Account::new("alice@tubes.test".parse().unwrap(), "secret").unwrap();
        let (rude, _) = server("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".into()).await;
        let account = account.with_server(&rude.host, rude.port).unwrap();
        let connector = Connector::new(account.with_tls(Tls::None).unwrap());
        connector.succeeded.store(true, Ordering::Relaxed);
        let error = connector.connect().await.err().unwrap();
        assert!(!error.is_final(), "{error}");
    }

    #[test]
    fn asks_dns_in_ascii() {
        assert_eq!(ascii("b\u{fc}cher.example"), "xn--bcher-kva.example");
        assert_eq!(ascii("::1"), "::1");
        assert_eq!(ascii("127.0.0.1"), "127.0.0.1");
    }
}
