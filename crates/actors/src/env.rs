//! What every actor of an account has around it.

use actix::Addr;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tubes_secure::Guard;
use tubes_transport::Stanzas;
use xmpp_parsers::jid::FullJid;

use crate::announcer::Announcer;
use crate::complaints::Complaints;
use crate::file::Claims;
use crate::negotiator::NegotiatorActor;
use crate::notices::Notices;
use crate::seats::Seats;

/// The surroundings of an account's actors; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Env {
    /// The embedder's runtime. All sockets are opened and all bytes move there: a tokio socket
    /// stays with the reactor that made it, and the control thread is no place for data.
    pub(crate) runtime: Handle,
    pub(crate) announcer: Announcer,
    pub(crate) negotiator: Addr<NegotiatorActor>,
    pub(crate) notices: Notices,
    pub(crate) stanzas: Stanzas,
    pub(crate) seats: Seats,
    pub(crate) claims: Claims,
    pub(crate) complaints: Complaints,
    /// Whom to trust with what.
    pub(crate) guard: Guard,
    /// This client's address, which a new session may change.
    pub(crate) local: watch::Receiver<FullJid>,
}
