//! `tubes doctor`: logs in, and says in plain words what works.
//!
//! ```text
//!   server, encryption, login, stream management ── what the login says
//!   round trip, roster ──────────────────────────── questions to the server
//!   presence, bytestream, direct, proxies ───────── a second login, and the first
//!   rate limit ──────────────────────────────────── the second
//!   largest stanza ──────────────────────────────── a third, which the server may throw out
//! ```

mod login;
mod presence;
mod rate;
mod server;
mod socks5;
mod stanza;
mod stream;

use std::time::Duration;

use tokio::time::timeout;
use tubes::{BareJid, FullJid, Socks5, TransportName, Tubes};

use crate::args::Global;
use crate::config::Profile;
use crate::exit::{Kind, Stop};
use crate::interrupt::Interrupt;
use crate::online::{self, Online};
use crate::output::{Output, Report, Verdict};

pub(crate) async fn run(global: &Global, interrupt: &Interrupt) -> Result<(), Stop> {
    let mut profile = Profile::resolve(global)?;
    // A program that runs under the resource of the configuration is not to be thrown out.
    profile.jid = profile.jid.to_bare().into();
    let mut doctor = Doctor {
        profile,
        output: Output::new(global.output),
        interrupt,
        patients: Vec::new(),
        failed: Vec::new(),
    };
    let verdict = doctor.examine().await;
    let failed = doctor.failed.join(", ");
    for patient in doctor.patients {
        // What is left behind looks online for minutes.
        patient.leave().await?;
    }
    verdict?;
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Stop::failed(Kind::Io, format!("not all is well: {failed}"))),
    }
}

/// The examination of one account.
struct Doctor<'a> {
    profile: Profile,
    output: Output,
    interrupt: &'a Interrupt,
    /// What is logged in, to be logged out at the end.
    patients: Vec<Online>,
    /// The checks that failed and matter.
    failed: Vec<&'static str>,
}

/// What a check found.
enum Finding {
    /// All is well.
    Fine(String),
    /// Tubes cannot work, or not well, like this.
    Bad(String),
    /// Could be better, but nothing depends on it.
    Poor(String),
}

impl Doctor<'_> {
    /// One check after the other. Fails when the rest makes no sense; what fails and is of no
    /// consequence for the rest is noted.
    async fn examine(&mut self) -> Result<(), Stop> {
        let first = self.first_login().await?;
        self.check(ROUND_TRIP, server::round_trip(&first)).await?;
        self.check("roster", server::roster(&first)).await?;
        let second = match self.log_in().await {
            Ok(second) => second,
            Err(Stop::Failed(trouble)) => {
                return self.note("presence", Finding::Bad(no_second(&trouble.message)));
            }
            Err(stop) => return Err(stop),
        };
        let seen = presence::mutual(&first, &second);
        self.check("presence", seen).await?;
        let carried = stream::in_band(&first, &second);
        self.check("bytestream", carried).await?;
        let socks5 = self.socks5();
        let direct = socks5::direct(&first, &second, &socks5);
        self.check("direct", direct).await?;
        let proxies = socks5::proxies(&first, &socks5);
        self.check("proxies", proxies).await?;
        self.check("rate_limit", rate::limit(&second)).await?;
        self.largest_stanza(&first).await
    }

    /// SOCKS5 bytestreams, as far as the profile allows them.
    fn socks5(&self) -> Socks5 {
        let socks5 = online::socks5(&self.profile.direct);
        match &self.profile.transports {
            None => socks5,
            Some(allowed) => {
                let names = allowed.iter().copied().map(TransportName::from);
                socks5.with_ways(names.filter_map(TransportName::way))
            }
        }
    }

    async fn first_login(&mut self) -> Result<Client, Stop> {
        match self.log_in().await {
            Ok(client) => {
                let login = client.tubes.login().await.map_err(login::lost)?;
                for (name, finding) in login::findings(&login, &self.profile) {
                    self.note(name, finding)?;
                }
                Ok(client)
            }
            Err(Stop::Failed(trouble)) => {
                let finding = Finding::Bad(trouble.message.clone());
                self.note(login::stage(trouble.kind), finding)?;
                Err(Stop::Failed(trouble))
            }
            Err(stop) => Err(stop),
        }
    }

    async fn largest_stanza(&mut self, first: &Client) -> Result<(), Stop> {
        let login = first.tubes.login().await.map_err(login::lost)?;
        if let Some(bytes) = login.terms.largest_stanza {
            return self.note(LARGEST_STANZA, stanza::advertised(bytes));
        }
        let Ok(third) = self.log_in().await else {
            let why = "not tried: a third login failed".to_owned();
            return self.note(LARGEST_STANZA, Finding::Poor(why));
        };
        let probing = async {
            match self.patients.last_mut() {
                Some(online) => stanza::probe(&third, online.feed()).await,
                None => Finding::Poor("not tried".to_owned()),
            }
        };
        // The server may have ended it: there is no sense in a proper end.
        let finding = tokio::select! {
            finding = probing => finding,
            stop = self.interrupt.wait() => return Err(stop),
        };
        drop(self.patients.pop());
        self.note(LARGEST_STANZA, finding)
    }

    /// Logs in once more, under a resource of its own.
    async fn log_in(&mut self) -> Result<Client, Stop> {
        let online = tokio::select! {
            online = Online::start(&self.profile, None, self.output.muted()) => online?,
            stop = self.interrupt.wait() => return Err(stop),
        };
        let tubes = online.tubes().clone();
        self.patients.push(online);
        let jid = tubes.login().await.map_err(login::lost)?.jid;
        let account = jid.to_bare();
        // Without that nobody hears of the account's other resources.
        tubes.deal_with(&account).await;
        Ok(Client {
            tubes,
            jid,
            account,
        })
    }

    /// Makes a check, for as long as it may take, and reports it.
    async fn check(
        &mut self,
        name: &'static str,
        check: impl Future<Output = Finding>,
    ) -> Result<(), Stop> {
        let finding = tokio::select! {
            finding = timeout(PATIENCE, check) => finding.unwrap_or_else(|_| {
                Finding::Bad(format!("gave up after {} s", PATIENCE.as_secs()))
            }),
            stop = self.interrupt.wait() => return Err(stop),
        };
        self.note(name, finding)
    }

    fn note(&mut self, name: &'static str, finding: Finding) -> Result<(), Stop> {
        let (verdict, detail) = match finding {
            Finding::Fine(detail) => (Verdict::Ok, detail),
            Finding::Poor(detail) => (Verdict::Poor, detail),
            Finding::Bad(detail) => {
                self.failed.push(name);
                (Verdict::Failed, detail)
            }
        };
        self.output.report(&Report::check(name, verdict, detail))
    }
}

/// One of the logins.
struct Client {
    tubes: Tubes,
    jid: FullJid,
    account: BareJid,
}

fn no_second(why: &str) -> String {
    format!("a second login beside the first failed, and nothing that needs it was tried: {why}")
}

const LARGEST_STANZA: &str = "largest_stanza";
const ROUND_TRIP: &str = "round_trip";

/// For any one check, also at a server that allows three kilobytes a second.
const PATIENCE: Duration = Duration::from_secs(60);
