//! Offers an application's own service in tubes, and says who is behind each connection.
//!
//! ```text
//!   export(socket) ─┐
//!   offer(contact) ─┴─► TubeRequested ─► parameters ─► TubeOffered ─► TubeOpened ─► TubeClosed
//!                                                             ConnectionOpened ─► ConnectionClosed
//! ```
//!
//! - [`StreamTubeServer`] (this file), and how it is created (`builder.rs`)
//! - [`ParametersGenerator`]: what is said of what is exported (`export.rs`)
//! - [`ServerEvent`], [`ServeError`]: what the application learns (`event.rs`)
//! - `serving.rs`: the inside

mod builder;
mod event;
mod export;
mod serving;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tubes_actors::TubeId;
use tubes_local::{Export, ExportError, Exportable};
use tubes_protocol::tube::Parameters;
use xmpp_parsers::jid::BareJid;

pub use self::builder::ServerBuilder;
pub use self::event::{RequestId, ServeError, ServerEvent, TubeRequest};
pub use self::export::ParametersGenerator;

use self::export::{Bootstrap, Exported};
use self::serving::Serving;
use crate::stream_tube::Front;
use crate::{AddError, Audience, Feed, Monitoring, Rules, StreamTube, StreamTubes};
use crate::{TubeConnection, Tubes};

/// Offers a service of the application in stream tubes, on any number of accounts.
///
/// Cheap to clone. Dropping the last clone closes its tubes in the background;
/// [`close`](Self::close) waits for it. The accounts stay logged in as long as the server has them.
///
/// ```
/// use tokio::net::TcpListener;
/// use tubes::{Audience, Parameters, ServerEvent, StreamTubeServer, Tubes};
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
/// # let client = tubes::StreamTubeClient::builder().services_for_contacts(["x-chat"]).build();
/// # let (_, mut accepted) = client.watch();
/// # client.add(&fernand).await?;
/// # let connecting = async {
/// #     loop {
/// #         match accepted.next().await.ok_or("the client is gone")? {
/// #             tubes::ClientEvent::TubeAccepted { tube, .. } => {
/// #                 break Ok::<_, Box<dyn std::error::Error>>(client.connect(tube.id).await?);
/// #             }
/// #             _ => {}
/// #         }
/// #     }
/// # };
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let server = StreamTubeServer::builder()
///     .services_for_contacts(["x-chat"])
///     .with_monitoring()
///     .build();
/// server.export(&listener, Parameters::default())?;
/// let account = server.add(&alice).await?;
/// let (_, mut events) = server.watch();
/// let to_fernand = Audience::Contact(fernands.clone());
/// server.offer(&account, to_fernand, "x-chat").await?;
/// # let program = connecting.await?;
///
/// let (stream, source) = listener.accept().await?;
/// let connection = server.behind(source).await.ok_or("the server is gone")?;
/// assert_eq!(connection.contact.to_bare(), fernands);
/// drop(stream);
/// # drop(program);
/// while let Some(event) = events.next().await {
///     if let ServerEvent::ConnectionClosed { connection, end } = event {
///         println!("{} has gone: {end:?}", connection.contact);
///         break;
///     }
/// }
/// server.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StreamTubeServer(Arc<Front<Serving>>);

impl StreamTubeServer {
    /// Says what the server is for.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    fn new(serving: Serving) -> Self {
        Self(Front::new(serving))
    }

    /// Adds an account; tubes can be offered from it from now on. Must be called within a tokio
    /// runtime, which has to live as long as the account does. Cancel safe.
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

    /// Offers this socket, or [a command or a socket that is told who connects](Export), in tubes from now
    /// on, and says this of it. Tubes that are offered already
    /// keep the socket and the parameters they have.
    ///
    /// Parameters are set only together with the socket they are about, so that the password of one
    /// service is never told with another.
    pub fn export(
        &self,
        socket: &impl Exportable,
        parameters: Parameters,
    ) -> Result<(), ExportError> {
        self.inside().export(Exported {
            export: socket.to_export()?,
            bootstrap: Bootstrap::Fixed(parameters),
        });
        Ok(())
    }

    /// Offers this socket in tubes from now on, and asks what to say of it for each of them.
    pub fn export_with(
        &self,
        socket: &impl Exportable,
        generator: impl ParametersGenerator,
    ) -> Result<(), ExportError> {
        self.inside().export(Exported {
            export: socket.to_export()?,
            bootstrap: Bootstrap::Generated(Arc::new(generator)),
        });
        Ok(())
    }

    /// What is offered in new tubes, if anything.
    pub fn exported(&self) -> Option<Export> {
        self.inside().exported().map(|exported| exported.export)
    }

    /// What is said with every offer of it; nothing if that is asked for each.
    pub fn exported_parameters(&self) -> Parameters {
        let exported = self.inside().exported();
        exported.map_or_else(Parameters::default, |exported| exported.bootstrap.fixed())
    }

    /// Whether the server was created for this service and such an audience.
    pub fn handles(&self, audience: &Audience, service: &str) -> bool {
        self.0.handles(audience, service)
    }

    /// Whether connections are reported.
    pub fn monitoring(&self) -> Monitoring {
        self.0.monitoring()
    }

    /// Offers the exported socket, under the name of one of the server's services.
    ///
    /// `TubeRequested` is announced, then the parameters are asked for, then the tube is offered. It
    /// is not offered if the future is dropped before the parameters are there; later, it is.
    pub async fn offer(
        &self,
        account: &BareJid,
        audience: Audience,
        service: &str,
    ) -> Result<StreamTube, ServeError> {
        if !self.handles(&audience, service) {
            let service = service.to_owned();
            return Err(ServeError::NotHandled { audience, service });
        }
        self.inside().offer(account, audience, service).await
    }

    /// Offers the exported socket in a single tube that is handed to this server, whatever services
    /// it was created for. Otherwise as [`offer`](Self::offer).
    pub async fn offer_single(
        &self,
        account: &BareJid,
        audience: Audience,
        service: &str,
    ) -> Result<StreamTube, ServeError> {
        self.inside().offer(account, audience, service).await
    }

    /// Takes one of the server's offers back, which closes that tube; its connections finish what they
    /// were given. Returns when it is gone.
    pub async fn withdraw(&self, tube: TubeId) {
        self.0.close_tube(tube).await;
    }

    /// Sets who may use which service from now on. Tubes that are there against these rules are
    /// closed; returns when they are gone.
    pub async fn set_rules(&self, rules: Rules) {
        self.inside().set_rules(rules).await;
    }

    /// The tubes in hand and their connections, and a listener for what happens from now on.
    ///
    /// There is no gap between the two: every event is either part of the state or will be heard.
    /// Whoever [missed](ServerEvent::Missed) events asks for both anew.
    pub fn watch(&self) -> (StreamTubes, Feed<ServerEvent>) {
        self.0.watch()
    }

    /// The tubes in hand.
    pub fn tubes(&self) -> Vec<StreamTube> {
        self.0.tubes()
    }

    /// The open connections by where the service sees them come from; see
    /// [`StreamTubes::by_source`]. Empty without monitoring.
    pub fn connections(&self) -> BTreeMap<Option<SocketAddr>, Vec<TubeConnection>> {
        self.0.state().by_source()
    }

    /// Waits until it is known who is behind a connection that the service accepted from this
    /// address: the service accepts it a moment earlier than it is open. None once the server is
    /// gone. Cancel safe.
    ///
    /// Waits for ever for what is no connection of a tube's, and without monitoring. Wait no longer
    /// than the connection lasts.
    pub async fn behind(&self, source: SocketAddr) -> Option<TubeConnection> {
        loop {
            let (state, mut events) = self.watch();
            let mut there = state.connections.into_values();
            if let Some(found) = there.find(|connection| connection.source == Some(source)) {
                return Some(found);
            }
            loop {
                match events.next().await? {
                    ServerEvent::ConnectionOpened { connection }
                        if connection.source == Some(source) =>
                    {
                        return Some(connection);
                    }
                    ServerEvent::Missed(_) => break,
                    _ => {}
                }
            }
        }
    }

    /// Ends the server: closes all tubes in hand, takes no more, and lets go of the accounts; they stay logged in if
    /// the application holds them. Connections finish what they were given, within a few seconds.
    pub async fn close(&self) {
        self.0.close().await;
    }

    fn inside(&self) -> &Arc<Serving> {
        self.0.keeper()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_and_its_events_go_to_any_thread() {
        fn goes_anywhere<T: Send + Sync + 'static>() {}
        fn goes<T: Send>(_: &T) {}
        goes_anywhere::<StreamTubeServer>();
        goes_anywhere::<Feed<ServerEvent>>();
        goes_anywhere::<ServeError>();
        let _ = |server: &StreamTubeServer, account: &BareJid, audience: Audience| {
            goes(&server.offer(account, audience, "x-test"));
            goes(&server.behind(SocketAddr::from(([127, 0, 0, 1], 1))));
            goes(&server.close());
        };
    }
}
