//! Takes the tubes of chosen services that are offered to an application's accounts.
//!
//! ```text
//!   TubeOffered ─► policy ─┬─► TubeAccepted ─► ConnectionOpened ─► ConnectionClosed ─► TubeClosed
//!                          ├─► TubeFailed   ─► TubeClosed
//!                          └─► TubeDeclined ─► TubeClosed
//! ```
//!
//! - [`StreamTubeClient`] (this file), and how it is created (`builder.rs`)
//! - [`Policy`]: which tubes are wanted (`policy.rs`)
//! - [`Connection`]: one that the application holds itself (`connection.rs`)
//! - [`ClientEvent`], [`ConnectError`]: what the application learns (`event.rs`)
//! - `joining.rs`: the inside

mod builder;
mod connection;
mod event;
mod joining;
mod policy;

use std::sync::Arc;

use tubes_actors::TubeId;
use tubes_local::{Access, Address};
use xmpp_parsers::jid::BareJid;

pub use self::builder::ClientBuilder;
pub use self::connection::Connection;
pub use self::event::{ClientEvent, ConnectError, Invitation};
pub use self::policy::{Answer, Policy};

use self::joining::Joining;
use crate::stream_tube::Front;
use crate::{AddError, Audience, Feed, Monitoring, StreamTube, StreamTubes, TubeConnection, Tubes};

/// Takes the tubes of chosen services that contacts offer, on any number of accounts.
///
/// Cheap to clone. Dropping the last clone closes its tubes in the background;
/// [`close`](Self::close) waits for it. The accounts stay logged in as long as the client has them.
///
/// ```
/// use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
/// use tubes::{Answer, ClientEvent, Invitation, StreamTubeClient, Tubes};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use tubes_server::{Server, ServerKind, Setup};
/// # let server = Server::start(ServerKind::Embedded, Setup::new()).await?;
/// # let keys = tempfile::tempdir()?;
/// # let mut people = Vec::new();
/// # for name in ["alice", "fernand"] {
/// #     let (account, at) = (server.fresh_account(name).await?, server.address());
/// #     let account = tubes::Account::new(account.jid.into(), account.password)?
/// #         .with_server(&at.ip().to_string(), at.port())?
/// #         .with_roots_pem(server.ca().pem().as_bytes())?;
/// #     let builder = Tubes::builder(account).keys_in(keys.path());
/// #     people.push(builder.start().await?.0);
/// # }
/// # let (fernand, alice) = (people.pop().ok_or("two")?, people.pop().ok_or("two")?);
/// # let fernands = fernand.login().await?.jid.to_bare();
/// # let alices = alice.login().await?.jid.to_bare();
/// # for (one, other) in [(&alice, &fernands), (&fernand, &alices)] {
/// #     one.befriend(other).await;
/// # }
/// # let echo = tubes::Command::new("cat");
/// # alice.offer(tubes::Offer::command(fernands, "x-chat", echo)).await?;
/// let client = StreamTubeClient::builder()
///     .services_for_contacts(["x-chat"])
///     .with_policy(async |invitation: Invitation| match invitation.parameters.is_empty() {
///         true => Answer::Accept,
///         false => Answer::Decline { reason: "it comes with something unknown".to_owned() },
///     })
///     .build();
/// let (_, mut events) = client.watch();
/// client.add(&fernand).await?;
/// while let Some(event) = events.next().await {
///     if let ClientEvent::TubeAccepted { tube, .. } = event {
///         let mut connection = BufReader::new(client.connect(tube.id).await?);
///         connection.write_all(b"hello\n").await?;
///         let mut answer = String::new();
///         connection.read_line(&mut answer).await?;
///         assert_eq!(answer, "hello\n");
///         break;
///     }
/// }
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StreamTubeClient(Arc<Front<Joining>>);

impl StreamTubeClient {
    /// Says what the client is for.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    fn new(joining: Joining) -> Self {
        Self(Front::new(joining))
    }

    /// Adds an account; its tubes are taken from now on, and those that it was offered before and
    /// nobody has accepted. Must be called within a tokio runtime, which has to live as long as the
    /// account does. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`AddError::Already`] if it is there, also with another login.
    pub async fn add(&self, tubes: &Tubes) -> Result<BareJid, AddError> {
        self.0.add(tubes).await
    }

    /// Closes the account's tubes in hand, and lets go of it. Returns its handle, if it was there: it stays
    /// logged in as long as somebody has one.
    pub async fn remove(&self, account: &BareJid) -> Option<Tubes> {
        self.0.remove(account).await
    }

    /// The accounts that were added and are not closed.
    pub fn accounts(&self) -> Vec<BareJid> {
        self.0.accounts()
    }

    /// Whether the client was created for this service and such an audience.
    pub fn handles(&self, audience: &Audience, service: &str) -> bool {
        self.0.handles(audience, service)
    }

    /// Whether connections are reported.
    pub fn monitoring(&self) -> Monitoring {
        self.0.monitoring()
    }

    /// Takes a single tube that is offered to the account and that nobody has accepted, whatever
    /// services the client was created for; none if there is no such tube, or it is taken already. The
    /// policy is asked.
    pub async fn take(&self, account: &BareJid, tube: TubeId) -> Option<StreamTube> {
        self.inside().take(account, tube).await
    }

    /// Connects through a tube that was accepted, whether or not programs connect to it, too.
    ///
    /// Whether the other side takes the connection shows when it is used. Must be called within a tokio
    /// runtime; what is under way is given up when the future is dropped.
    pub async fn connect(&self, tube: TubeId) -> Result<Connection, ConnectError> {
        self.inside().connect(tube).await
    }

    /// Gives one of the client's tubes up, which closes it on this side; its connections finish what they
    /// were given. Returns when it is gone.
    pub async fn leave(&self, tube: TubeId) {
        self.0.close_tube(tube).await;
    }

    /// The tubes in hand and their connections, and a listener for what happens from now on.
    ///
    /// There is no gap between the two: every event is either part of the state or will be heard.
    /// Whoever [missed](ClientEvent::Missed) events asks for both anew.
    pub fn watch(&self) -> (StreamTubes, Feed<ClientEvent>) {
        self.0.watch()
    }

    /// The tubes in hand, accepted or not.
    pub fn tubes(&self) -> Vec<StreamTube> {
        self.0.tubes()
    }

    /// The open connections. Empty without monitoring.
    pub fn connections(&self) -> Vec<TubeConnection> {
        let state = self.0.state();
        state.connections.into_values().collect()
    }

    /// Ends the client: closes all tubes in hand, takes no more, and lets go of the accounts; they stay logged in if
    /// the application holds them. Connections finish what they were given, within a few seconds.
    pub async fn close(&self) {
        self.0.close().await;
    }

    fn inside(&self) -> &Arc<Joining> {
        self.0.keeper()
    }
}

/// How the tubes that are wanted are accepted.
#[derive(Clone, Debug)]
enum Reception {
    /// The application connects.
    InHand,
    /// Programs do.
    Listening { address: Address, access: Access },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_its_events_and_connections_go_to_any_thread() {
        fn goes_anywhere<T: Send + Sync + 'static>() {}
        fn goes<T: Send>(_: &T) {}
        goes_anywhere::<StreamTubeClient>();
        goes_anywhere::<Feed<ClientEvent>>();
        goes_anywhere::<Connection>();
        goes_anywhere::<ClientBuilder>();
        let _ = |client: &StreamTubeClient, account: &BareJid, tube: TubeId| {
            goes(&client.connect(tube));
            goes(&client.take(account, tube));
            goes(&client.close());
        };
    }
}
