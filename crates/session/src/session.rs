//! The handle of a logged-in account.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_xmpp::stanzastream::{Event, StreamEvent};
use tubes_transport::{Gone, Stanzas};
use xmpp_parsers::jid::{BareJid, FullJid, ResourcePart};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::presence::{Presence, Type};

use crate::connector::{Connector, Established};
use crate::continuity::Continuity;
use crate::event::{Login, SessionEvent, StreamManagement};
use crate::flight::Flight;
use crate::identity::Identity;
use crate::inquiry::Inquiry;
use crate::pump::{self, Command, Order, Pump};
use crate::reconnect::{Reconnector, Stream};
use crate::router::{Router, Subscribe};
use crate::{Account, Contact, LoginError};

/// One logged-in account. Dropping the last clone ends the session without ceremony.
///
/// What it is told to do is in force when that returns: whatever is heard from then on is heard accordingly,
/// and what is said from then on is said after it.
#[derive(Clone, Debug)]
pub struct Session {
    orders: mpsc::Sender<Order>,
    jid: FullJid,
    stanzas: Stanzas,
}

impl Session {
    /// Logs in and announces these features (disco#info).
    ///
    /// Returns once the server has bound a resource; the first event is [`Link::Reset`]. Later
    /// losses of the connection are mended in the background and reported as events.
    ///
    /// [`Link::Reset`]: crate::Link::Reset
    pub async fn start(
        account: Account,
        features: Vec<String>,
    ) -> Result<(Self, mpsc::Receiver<SessionEvent>), LoginError> {
        let account = with_resource(account);
        let resume_limit = account.resume_limit();
        let connector = Connector::new(account);
        let cut_answers = connector.cut_answers();
        let Established {
            connection,
            server,
            tls,
            pulse,
            last_words,
            terms,
        } = connector.connect().await?;
        let (notices_tx, notices) = mpsc::channel(NOTICES);
        let reconnector = Reconnector::new(connector, notices_tx);
        let mut stream = reconnector.stream(connection, last_words);
        let (jid, stream_management) = bound(&mut stream).await?;

        let (stanzas, outbox, switchboard) = Stanzas::pair();
        let (orders_tx, orders) = mpsc::channel(ORDERS);
        let (events, events_rx) = mpsc::channel(EVENTS);
        let login = Login {
            jid: jid.clone(),
            server,
            tls,
            terms,
        };
        let router = Router::new(
            jid.clone(),
            Identity::new(features),
            rand::random(),
            switchboard,
        )
        .told_of(cut_answers);
        let pump = Pump {
            stream,
            reconnector,
            router,
            outbox,
            orders,
            notices,
            events,
            login,
            flight: Flight::new(),
            is_clogged: false,
            continuity: Continuity::new(stream_management, resume_limit),
            pulse,
            tick: pump::tick(),
        };
        tokio::spawn(pump.run());
        Ok((
            Self {
                orders: orders_tx,
                jid,
                stanzas,
            },
            events_rx,
        ))
    }

    /// The address of this client at login. A later [`Link::Reset`] may bring another.
    ///
    /// [`Link::Reset`]: crate::Link::Reset
    pub fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// The way to say things over this session.
    pub fn stanzas(&self) -> &Stanzas {
        &self.stanzas
    }

    /// Announces these features from now on instead of the former ones.
    pub async fn advertise(&self, features: Vec<String>) {
        self.command(Command::Advertise(features)).await;
    }

    /// The user deals with this contact: its presence is followed, and what it says counts as
    /// said by somebody known. With [`Subscribe::Yes`] presence subscription is asked for and
    /// granted.
    pub async fn consent(&self, contact: BareJid, subscribe: Subscribe) {
        self.command(Command::Consent(contact, subscribe)).await;
    }

    /// Reports also messages that are not the tubes', and presences, from now on.
    pub async fn share(&self) {
        self.command(Command::Share).await;
    }

    /// Hears what this room says of its occupants from now on. It is entered by a presence
    /// ([`present`](Self::present)), after each new login anew.
    pub async fn attend(&self, room: BareJid) {
        self.command(Command::Attend(room)).await;
    }

    /// Lets go of what is under way with whoever is, or was, in this room: it is entered anew, and the
    /// names there may be somebody else's by now.
    pub async fn abandon(&self, room: BareJid) {
        self.command(Command::Abandon(room)).await;
    }

    /// Hears no more of this room.
    pub async fn forsake(&self, room: BareJid) {
        self.command(Command::Forsake(room)).await;
    }

    /// Shows this presence to one address alone (RFC 6121 §4.6): to a room, which repeats the `id` if it
    /// refuses. What was not said yet when the session is lost is not said in the next one.
    pub async fn present(&self, to: FullJid, id: String, showing: Showing, payloads: Vec<Element>) {
        let type_ = match showing {
            Showing::Available => Type::None,
            Showing::Unavailable => Type::Unavailable,
        };
        let mut presence = Presence::new(type_).with_to(to);
        presence.id = Some(id);
        presence.payloads = payloads;
        self.command(Command::Present(presence)).await;
    }

    /// What is known of a contact at this moment: whether its presence is visible, and its
    /// resources. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Gone::Session`] when the session has ended for good.
    pub async fn contact(&self, jid: BareJid) -> Result<Contact, Gone> {
        self.inquire(|answer| Inquiry::Contact(jid, answer)).await
    }

    /// The latest login. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Gone::Session`] when the session has ended for good.
    pub async fn login(&self) -> Result<Login, Gone> {
        self.inquire(Inquiry::Login).await
    }

    /// Says what is still to be said and logs out; done within two seconds.
    pub async fn close(&self) {
        self.command(Command::Close).await;
    }

    async fn inquire<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Inquiry,
    ) -> Result<T, Gone> {
        let (answer, answered) = oneshot::channel();
        self.command(Command::Inquire(question(answer))).await;
        answered.await.map_err(|_| Gone::Session)
    }

    /// Waits until it is obeyed, and not only until the pump may hear of it: what arrives meanwhile could else
    /// be handled before.
    async fn command(&self, command: Command) {
        let (done, obeyed) = oneshot::channel();
        // A session that is gone has said so in an event, and obeys nobody.
        if self.orders.send(Order { command, done }).await.is_ok() {
            let _ = obeyed.await;
        }
    }
}

/// What a presence says of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Showing {
    /// It is there.
    Available,
    /// It is no more.
    Unavailable,
}

/// tokio-xmpp binds the resource without a deadline.
async fn bound(stream: &mut Stream) -> Result<(FullJid, StreamManagement), LoginError> {
    let bound = timeout(BIND, async {
        while let Some(event) = stream.next().await {
            match event {
                Event::Stream(StreamEvent::Reset {
                    bound_jid,
                    features,
                }) => {
                    let jid = bound_jid.try_into_full().ok()?;
                    return Some((jid, StreamManagement::of(&features)));
                }
                Event::Stream(StreamEvent::Suspended) => return None,
                _ => {}
            }
        }
        None
    })
    .await;
    match bound {
        Ok(Some(bound)) => Ok(bound),
        Ok(None) => Err(LoginError::bind_failed()),
        Err(_) => Err(LoginError::bind_timed_out()),
    }
}

/// A resource of our own choice stays the same over reconnections.
fn with_resource(account: Account) -> Account {
    if account.jid().resource().is_some() {
        return account;
    }
    let name = format!("tubes-{:08x}", rand::random::<u32>());
    match ResourcePart::new(&name) {
        Ok(resource) => account.with_resource(&resource),
        Err(_) => account,
    }
}

/// Time for the server to bind a resource.
const BIND: Duration = Duration::from_secs(30);

/// Orders that wait for the pump.
const ORDERS: usize = 16;

/// Events that wait for the owner. While it is busy the session reads no further.
const EVENTS: usize = 64;

/// Notices that wait for the pump.
const NOTICES: usize = 4;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};

    use super::*;

    /// Or what arrives meanwhile could be handled before.
    #[tokio::test]
    async fn nothing_that_is_ordered_returns_before_it_is_obeyed() {
        let (orders, mut pump) = mpsc::channel(ORDERS);
        let (stanzas, _outbox, _switchboard) = Stanzas::pair();
        let jid: FullJid = "alice@example.org/r".parse().unwrap();
        let session = Session {
            orders,
            jid: jid.clone(),
            stanzas,
        };
        let room = || jid.to_bare();
        let ordering: [Pin<Box<dyn Future<Output = ()>>>; 8] = [
            Box::pin(session.abandon(room())),
            Box::pin(session.advertise(Vec::new())),
            Box::pin(session.attend(room())),
            Box::pin(session.close()),
            Box::pin(session.consent(room(), Subscribe::No)),
            Box::pin(session.forsake(room())),
            Box::pin(session.present(jid.clone(), String::new(), Showing::Available, Vec::new())),
            Box::pin(session.share()),
        ];
        let context = &mut Context::from_waker(Waker::noop());
        for ordering in ordering {
            let mut ordering = pin!(ordering);
            assert!(ordering.as_mut().poll(context).is_pending());
            let Order { command, done } = pump.recv().await.unwrap();
            assert!(ordering.as_mut().poll(context).is_pending(), "{command:?}");
            done.send(()).unwrap();
            assert!(ordering.as_mut().poll(context).is_ready(), "{command:?}");
        }
        drop(pump);
        assert!(pin!(session.share()).poll(context).is_ready());
    }
}
