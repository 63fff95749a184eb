//! A logged-in account, and what its user is told of it.

use std::collections::BTreeMap;
use std::fs;
use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;
use tubes::{Account, Event, Events, TubeId, Tubes};

use crate::args::{Global, Tls};
use crate::config::Profile;
use crate::exit::{Kind, Stop};
use crate::interrupt::Interrupt;
use crate::output::{FellBack, Output, Report, Typed, milliseconds};

/// An account that is logged in.
pub(crate) struct Online {
    tubes: Tubes,
    feed: Feed,
}

impl Online {
    /// Logs in as the command line and the configuration say. Contacts are told that offers of
    /// the `wanted` service are welcome.
    pub(crate) async fn log_in(
        global: &Global,
        wanted: Option<&str>,
        output: Output,
        interrupt: &Interrupt,
    ) -> Result<Self, Stop> {
        let profile = Profile::resolve(global)?;
        tokio::select! {
            online = Self::start(&profile, wanted, output) => online,
            stop = interrupt.wait() => Err(stop),
        }
    }

    /// Logs in as the profile says. Dropping the future gives up.
    pub(crate) async fn start(
        profile: &Profile,
        wanted: Option<&str>,
        output: Output,
    ) -> Result<Self, Stop> {
        let mut builder = Tubes::builder(account(profile)?).services(wanted);
        if let Some(transports) = &profile.transports {
            builder = builder.transports(transports.iter().copied().map(Into::into));
        }
        let (tubes, events) = builder.start().await?;
        let mut feed = Feed::new(events, output);
        // That it is online comes first; only then there is something to wait for.
        feed.next().await?;
        Ok(Self { tubes, feed })
    }

    /// Works until done or interrupted, then closes the tubes and leaves.
    pub(crate) async fn work(
        mut self,
        interrupt: &Interrupt,
        work: impl AsyncFnOnce(&Tubes, &mut Feed) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let verdict = tokio::select! {
            verdict = work(&self.tubes, &mut self.feed) => verdict,
            stop = interrupt.wait() => Err(stop),
        };
        let left = self.leave().await;
        verdict.and(left)
    }

    /// The account.
    pub(crate) fn tubes(&self) -> &Tubes {
        &self.tubes
    }

    /// What happens to it.
    pub(crate) fn feed(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// Leaves, and reports meanwhile what closes by that.
    pub(crate) async fn leave(mut self) -> Result<(), Stop> {
        let mut told = Ok(());
        let mut leaving = pin!(self.tubes.leave());
        loop {
            tokio::select! {
                () = &mut leaving => break,
                // Nobody may be there to be told any more; that is no reason not to leave.
                Some(event) = self.feed.events.next() => told = self.feed.report(&event).and(told),
            }
        }
        // What happened before the last moment still waits to be told; nothing new comes.
        while let Ok(Some(event)) = timeout(Duration::ZERO, self.feed.events.next()).await {
            told = self.feed.report(&event).and(told);
        }
        told
    }
}

/// The events of an account, reported as they are taken.
pub(crate) struct Feed {
    events: Events,
    output: Output,
    /// What the tubes are called on the wire and in reports.
    numbers: BTreeMap<TubeId, u32>,
}

impl Feed {
    pub(crate) fn new(events: Events, output: Output) -> Self {
        Self {
            events,
            output,
            numbers: BTreeMap::new(),
        }
    }

    /// The next event, already reported; fails when none can follow. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Event, Stop> {
        let Some(event) = self.events.next().await else {
            return Err(Stop::failed(
                Kind::Gone,
                "the account went offline for good",
            ));
        };
        self.report(&event)?;
        match event {
            Event::Offline {
                reason,
                retry_in: None,
            } => Err(Stop::failed(
                Kind::Gone,
                format!("offline for good: {reason}"),
            )),
            event => Ok(event),
        }
    }

    /// Tells a human what the command is up to.
    pub(crate) fn remark(&self, sentence: &str) -> Result<(), Stop> {
        self.output.remark(sentence)
    }

    fn report(&mut self, event: &Event) -> Result<(), Stop> {
        match event {
            Event::Missed(count) => {
                tracing::warn!(
                    count,
                    "events were lost: standard output is read too slowly"
                );
                return Ok(());
            }
            Event::PeerOffline { peer } => return self.remark(&format!("{peer} is offline")),
            Event::PeerOnline { peer } => return self.remark(&format!("{peer} is online")),
            Event::TubeOffered { tube, number, .. } => {
                self.numbers.insert(*tube, *number);
            }
            _ => {}
        }
        let told = match self.report_of(event) {
            Some(report) => self.output.report(&report),
            None => Ok(()),
        };
        if let Event::TubeClosed { tube, .. } = event {
            self.numbers.remove(tube);
        }
        told
    }

    fn report_of(&self, event: &Event) -> Option<Report> {
        Some(match event.clone() {
            Event::ConnectionClosed {
                tube,
                connection,
                sent,
                received,
                error,
            } => Report::ConnectionClosed {
                tube: self.number(tube),
                connection,
                sent,
                received,
                error: error.map(Into::into),
            },
            Event::ConnectionOpened {
                tube,
                connection,
                peer,
                transport,
                fell_back_from,
                setup,
                source,
            } => Report::ConnectionOpened {
                tube: self.number(tube),
                connection,
                peer: peer.to_string(),
                transport: transport.to_owned(),
                fell_back_from: fell_back_from
                    .into_iter()
                    .map(|(transport, reason)| FellBack { transport, reason })
                    .collect(),
                setup_ms: milliseconds(setup),
                source,
            },
            Event::Listening { tube, address } => Report::Listening {
                tube: self.number(tube),
                address: address.to_string(),
            },
            Event::Offline { reason, retry_in } => Report::Offline {
                reason,
                retry_in_ms: retry_in
                    .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            },
            Event::Online {
                jid,
                server,
                tls,
                resumed,
            } => Report::Online {
                jid: jid.to_string(),
                server,
                tls: tls.map(str::to_owned),
                resumed,
            },
            Event::Throttled { bytes_per_second } => Report::Throttled { bytes_per_second },
            Event::TubeClosed { number, error, .. } => Report::TubeClosed {
                tube: number,
                error: error.map(Into::into),
            },
            Event::TubeOffered {
                number,
                peer,
                service,
                direction,
                parameters,
                ..
            } => Report::TubeOffered {
                tube: number,
                peer: peer.to_string(),
                service,
                direction: direction.into(),
                parameters: parameters
                    .iter()
                    .map(|(name, value)| (name.to_owned(), Typed::from(value)))
                    .collect(),
            },
            Event::TubeOpened { tube } => Report::TubeOpened {
                tube: self.number(tube),
            },
            // What a later version may add is not part of the contract yet.
            _ => return None,
        })
    }

    /// Whatever happens to a tube follows its offer, which says the number.
    fn number(&self, tube: TubeId) -> u32 {
        self.numbers.get(&tube).copied().unwrap_or_default()
    }
}

fn account(profile: &Profile) -> Result<Account, Stop> {
    let mut account = Account::new(profile.jid.clone(), profile.password.clone())
        .map_err(|why| Stop::Usage(why.to_string()))?;
    if let Some(server) = &profile.server {
        account = account
            .with_server(&server.host, server.port)
            .map_err(|why| Stop::Usage(why.to_string()))?;
    }
    if let Some(tls) = profile.tls {
        let tls = match tls {
            Tls::Direct => tubes::Tls::Direct,
            Tls::None => tubes::Tls::None,
            Tls::Starttls => tubes::Tls::StartTls,
        };
        account = account
            .with_tls(tls)
            .map_err(|why| Stop::Usage(why.to_string()))?;
    }
    if let Some(path) = &profile.ca_file {
        let complain = |why: &dyn std::fmt::Display| {
            Stop::Usage(format!("cannot use the CA file {}: {why}", path.display()))
        };
        let pem = fs::read(path).map_err(|why| complain(&why))?;
        account = account.with_roots_pem(&pem).map_err(|why| complain(&why))?;
    }
    Ok(account)
}
