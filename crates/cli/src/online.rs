//! A logged-in account, and what its user is told of it.

use std::fs;
use std::pin::pin;

use tubes::session::LoginFailure;
use tubes::{Account, BareJid, Builder, Limits, Socks5, StartError, Tubes};

use crate::args::{Global, Tls};
use crate::commands::name;
use crate::config::{Direct, Profile};
use crate::exit::Stop;
use crate::feed::Feed;
use crate::hint;
use crate::interrupt::Interrupt;
use crate::output::Output;

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
        limits: Limits,
        output: Output,
        interrupt: &Interrupt,
    ) -> Result<Self, Stop> {
        let welcome = Welcome::Service(wanted);
        Self::log_in_for(welcome, global, limits, output, interrupt).await
    }

    /// Logs in as the command line and the configuration say. Contacts are told that files are welcome,
    /// and nothing else. Those of the contact named may come as soon as it is told that this is online.
    pub(crate) async fn log_in_for_files(
        global: &Global,
        from: Option<&BareJid>,
        limits: Limits,
        output: Output,
        interrupt: &Interrupt,
    ) -> Result<Self, Stop> {
        Self::log_in_for(Welcome::Files { from }, global, limits, output, interrupt).await
    }

    async fn log_in_for(
        welcome: Welcome<'_>,
        global: &Global,
        limits: Limits,
        output: Output,
        interrupt: &Interrupt,
    ) -> Result<Self, Stop> {
        let profile = Profile::resolve(global)?;
        let starting = async {
            let online = Self::start_for(welcome, &profile, limits, output).await?;
            if let Welcome::Files {
                from: Some(contact),
            } = welcome
            {
                name(&online.tubes, contact, global).await;
            }
            online.announced().await
        };
        tokio::select! {
            online = starting => online,
            stop = interrupt.wait() => Err(stop),
        }
    }

    /// Logs in as the profile says. Dropping the future gives up.
    pub(crate) async fn start(
        profile: &Profile,
        wanted: Option<&str>,
        output: Output,
    ) -> Result<Self, Stop> {
        let welcome = Welcome::Service(wanted);
        let online = Self::start_for(welcome, profile, Limits::new(), output).await?;
        online.announced().await
    }

    async fn start_for(
        welcome: Welcome<'_>,
        profile: &Profile,
        limits: Limits,
        output: Output,
    ) -> Result<Self, Stop> {
        let builder = Tubes::builder(account(profile)?);
        let mut builder = welcome
            .told_by(builder)
            .limits(limits)
            .socks5(socks5(&profile.direct))
            .encryption(profile.encryption.into());
        for (contact, encryption) in &profile.encryption_with {
            builder = builder.encryption_with(contact.clone(), (*encryption).into());
        }
        if let Some(transports) = &profile.transports {
            builder = builder.transports(transports.iter().copied().map(Into::into));
        }
        let started = builder.start().await;
        let (tubes, events) = started.map_err(|why| complaint(why, profile))?;
        let feed = Feed::new(tubes.clone(), events, output);
        Ok(Self { tubes, feed })
    }

    /// Tells that it is online, which comes first; only then there is something to wait for.
    async fn announced(mut self) -> Result<Self, Stop> {
        self.feed.next().await?;
        Ok(self)
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
                Some(event) = self.feed.take() => told = self.feed.report(&event).and(told),
            }
        }
        // What happened before the last moment still waits to be told; nothing new comes.
        let rest = self.feed.drain().await;
        told.and(rest)
    }
}

/// What contacts are told is welcome.
#[derive(Clone, Copy, Debug)]
enum Welcome<'a> {
    /// Those of a contact, or of all.
    Files {
        from: Option<&'a BareJid>,
    },
    Service(Option<&'a str>),
}

impl Welcome<'_> {
    fn told_by(self, builder: Builder) -> Builder {
        match self {
            Self::Files { .. } => builder.receive_files().without_tubes(),
            Self::Service(wanted) => builder.services(wanted),
        }
    }
}

/// Why it did not start, and which of the options is likely to be at fault.
fn complaint(error: StartError, profile: &Profile) -> Stop {
    let unusable = match &error {
        StartError::Login(login) => matches!(login.reason(), LoginFailure::NoMechanism { .. }),
        _ => false,
    };
    match Stop::from(error) {
        // Servers offer their ways to authenticate only once the session is encrypted.
        Stop::Failed(trouble) if unusable && profile.tls == Some(Tls::None) => Stop::failed(
            trouble.kind,
            format!("{}; leave --tls none out", trouble.message),
        ),
        stop => stop,
    }
}

/// SOCKS5 bytestreams as the command line and the configuration have them.
pub(crate) fn socks5(direct: &Direct) -> Socks5 {
    let mut socks5 = Socks5::new()
        .with_port(direct.port.unwrap_or_default())
        .with_reveal(direct.reveal.clone());
    for address in &direct.addresses {
        socks5 = socks5.with_address(&address.host, address.port);
    }
    for proxy in &direct.proxies {
        socks5 = socks5.with_proxy(proxy.0.clone());
    }
    socks5
}

fn account(profile: &Profile) -> Result<Account, Stop> {
    let mut account = Account::new(profile.jid.clone(), profile.password.to_string())
        .map_err(|why| Stop::Usage(hint::account(&why)))?;
    if let Some(server) = &profile.server {
        account = account
            .with_server(&server.host, server.port)
            .map_err(|why| Stop::Usage(hint::account(&why)))?;
    }
    if let Some(tls) = profile.tls {
        let tls = match tls {
            Tls::Direct => tubes::Tls::Direct,
            Tls::None => tubes::Tls::None,
            Tls::Starttls => tubes::Tls::StartTls,
        };
        account = account
            .with_tls(tls)
            .map_err(|why| Stop::Usage(hint::account(&why)))?;
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
