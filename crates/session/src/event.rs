//! What a session reports.

use std::num::NonZeroU32;
use std::time::Duration;

use tubes_protocol::disco::Abilities;
use tubes_transport::{Gone, Inbound};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::message::Message;
use xmpp_parsers::presence::Presence;
use xmpp_parsers::stream_features::StreamFeatures;

use crate::{LoginError, RoomSays};

/// Something that happened on a session.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// Somebody wanted more than there may be. Comes often while that goes on.
    Exceeded {
        /// Of what there was no more.
        bound: Bound,
        /// Who wanted it: a contact, or somebody in a room; nobody that this side knows, if none.
        who: Option<Jid>,
    },
    /// Somebody said something that nothing follows from. Comes each time.
    Ignored {
        /// What.
        what: Ignored,
        /// Who.
        who: Jid,
        /// Whether whoever [shares](crate::Session::share) the session is told it, too, as what it is.
        shared: bool,
    },
    /// The link to the server changed.
    Link(Link),
    /// A message that is not the tubes'. Comes only to who [shares](crate::Session::share) the session.
    Message(Box<Message>),
    /// A contact's resource went offline. Questions to it have failed, its wires have ended.
    Offline {
        /// The resource.
        jid: FullJid,
        /// [`Gone::Session`]: it was this side that went.
        why: Gone,
    },
    /// A contact's resource is online, and this is what it can do. Comes again when that changes.
    Online {
        /// The resource.
        jid: FullJid,
        /// What it can do.
        abilities: Abilities,
    },
    /// A presence. Comes only to who [shares](crate::Session::share) the session, and beside the other
    /// events that follow from it.
    Presence(Box<Presence>),
    /// A room that is attended said something. Rooms have to be entered anew with each
    /// [`Link::Reset`].
    Room(RoomSays),
    /// A known contact, or anybody else, said something that no wire claims.
    Unclaimed {
        /// What.
        inbound: Inbound,
        /// Who has said it.
        sender: Acquaintance,
    },
}

/// Of what there may be no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// What is remembered of what programs can do. They are asked again.
    Capabilities,
    /// What the contract with transports knows of.
    Carried(tubes_transport::Bound),
    /// Resources of one contact that are followed.
    Resources,
    /// Contacts in the roster. Those beyond are taken for strangers, unless the user named them. It is said of
    /// nobody if the server's list was too long to be read as a whole at login.
    Roster,
}

/// What nothing follows from, whoever says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ignored {
    /// Presence after presence announces that it is another one, or can do something else, within a minute and without
    /// an answer to the question what that is.
    Announcement,
    /// An answer of somebody who was not asked, has answered already, or was asked so long ago that this is forgotten;
    /// an error only where somebody else was asked.
    Answer,
    /// What somebody can do is not what it announced, so that it is believed for nobody else (XEP-0115 §5.4).
    Capabilities,
    /// A message for people. An application that [shares](crate::Session::share) the session hears it all the same.
    Message,
    /// The presence of a stranger. Likewise.
    Presence,
    /// A change of the contact list that did not come from the server (RFC 6121 §2.1.6).
    Roster,
    /// A request to see when this account is online, of somebody to whom the user has not granted it. Likewise.
    Subscription,
}

/// Whether somebody is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// In the roster, named by the user, or of this account.
    Contact,
    /// Anybody else.
    Stranger,
}

/// The state of the link to the server.
#[derive(Debug)]
pub enum Link {
    /// Given up. Nothing follows.
    Down(LoginError),
    /// A new session began; of an earlier one nothing is left.
    Reset(Login),
    /// The same session goes on, nothing was lost (XEP-0198).
    Resumed(Login),
    /// The connection was lost; it is being re-established.
    Suspended {
        /// What is known of the reason.
        reason: String,
        /// The wait before the next try.
        retry_in: Duration,
    },
    /// The server, or the way to it, takes so little that people should know: stock servers
    /// throttle their clients. Comes once, until it has recovered.
    Throttled {
        /// What it takes, about.
        bytes_per_second: u64,
    },
}

/// A completed login.
///
/// ```
/// use tubes_session::{Account, Session};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use tubes_server::{Server, ServerKind, Setup};
/// # let server = Server::start(ServerKind::Embedded, Setup::new()).await?;
/// # let (alice, at) = (server.fresh_account("alice").await?, server.address());
/// # let account = Account::new(alice.jid.into(), alice.password)?
/// #     .with_server(&at.ip().to_string(), at.port())?
/// #     .with_roots_pem(server.ca().pem().as_bytes())?;
/// let (session, _reports) = Session::start(account, Vec::new()).await?;
/// let login = session.login().await?;
/// assert_eq!(login.jid, *session.jid());
/// assert_eq!(login.tls, Some("TLSv1.3"));
/// assert!(login.terms.mechanism.starts_with("SCRAM-"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Login {
    /// The address the server gave this client.
    pub jid: FullJid,
    /// The server: host and port.
    pub server: String,
    /// The TLS protocol, if any.
    pub tls: Option<&'static str>,
    /// What else was agreed on.
    pub terms: Terms,
}

/// What a login agreed on with the server, and what the server said of itself.
///
/// See [`Login`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// The SASL mechanism (RFC 6120 §6).
    pub mechanism: &'static str,
    /// What the login is bound to (RFC 5056), if anything.
    pub binding: Option<&'static str>,
    /// Whether the server offers stream management.
    pub stream_management: StreamManagement,
    /// The largest stanza that the server says it takes, in bytes (XEP-0478).
    pub largest_stanza: Option<NonZeroU32>,
}

/// Whether lost connections may be taken up again where they were (XEP-0198).
///
/// ```
/// use tubes_session::{StreamManagement, Terms};
///
/// /// What becomes of open connections when the link is lost for a moment.
/// fn prospect(terms: &Terms) -> &'static str {
///     match terms.stream_management {
///         StreamManagement::Absent => "they break",
///         StreamManagement::Offered => "they pause",
///     }
/// }
/// # let _ = prospect;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamManagement {
    /// The server does not offer it.
    Absent,
    /// The server offers it, and this client asks for it.
    Offered,
}

impl StreamManagement {
    /// What the server's features promise.
    pub(crate) fn of(features: &StreamFeatures) -> Self {
        match features.stream_management {
            Some(_) => Self::Offered,
            None => Self::Absent,
        }
    }
}
