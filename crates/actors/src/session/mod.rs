//! The actor of an account: its XMPP connection, and the tubes on it.
//!
//! ```text
//!   Live ──► Left
//!     └────► Lost
//! ```

mod devices;
mod files;
mod inbound;
mod inquiries;
mod news;
mod orders;
mod rooms;
mod sharing;

use std::collections::{BTreeMap, HashMap};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, ResponseFuture, System};
use tokio::sync::{oneshot, watch};
use tubes_protocol::disco::{Abilities, service_feature};
use tubes_protocol::tube::{Setting, TubeNumber, Whose};
use tubes_session::{Link, Session, SessionEvent};
use tubes_transport::Gone;
use xmpp_parsers::jid::{BareJid, FullJid};

use self::devices::Devices;
use self::files::Files;
pub use self::files::SendFileError;
pub(crate) use self::files::{FindFile, SendFile};
pub(crate) use self::inquiries::{LatestLogin, LookUp};
pub(crate) use self::news::RoomNews;
pub(crate) use self::orders::{Consent, Find, Leave, Offer, Welcome};
pub use self::rooms::EnterError;
use self::rooms::Stays;
pub(crate) use self::rooms::{Enter, LeaveRoom, RenameInRoom, Stay};
use self::sharing::Share;
pub(crate) use self::sharing::ShareSession;
pub use self::sharing::{Heard, ShareError, SharedSession};

use crate::env::Env;
use crate::event::{Event, TubeId};
use crate::failure;
use crate::limits::{self, Limit};
use crate::negotiator::LoggedIn;
use crate::obituary::Obituary;
use crate::room;
use crate::seats::Place;
use crate::tube::{Close, PeerOffline, PeerOnline, TubeActor};

/// One account.
#[derive(Debug)]
pub(crate) struct SessionActor {
    env: Env,
    session: Session,
    local: watch::Sender<FullJid>,
    /// Who is online and does tubes. The session bounds it.
    online: HashMap<FullJid, Abilities>,
    tubes: BTreeMap<TubeId, Tube>,
    files: Files,
    /// What disco#info says, apart from the services.
    features: Vec<String>,
    /// Services that are welcome although no tube offers them yet.
    welcome: Vec<String>,
    devices: Devices,
    stays: Stays,
    /// How often the session has begun.
    logins: u64,
    share: Option<Share>,
    phase: Phase,
}

/// How far the account has come. (Whether the link is up at the moment is the session's.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It logs out, or has done so, as it was told.
    Left,
    Live,
    /// The session is gone for good.
    Lost,
}

/// A tube, as the account finds it.
#[derive(Debug)]
struct Tube {
    addr: Addr<TubeActor>,
    number: TubeNumber,
    peer: BareJid,
    /// Whether that is a contact or a room.
    setting: Setting,
    party: Party,
    /// Of a tube that somebody else offers in a room.
    _place: Option<Place>,
}

#[derive(Debug)]
enum Party {
    /// Offered by this resource.
    Joined(FullJid),
    /// Offered by this account, with this service.
    Offered(String),
}

impl SessionActor {
    pub(crate) fn new(
        env: Env,
        session: Session,
        local: watch::Sender<FullJid>,
        features: Vec<String>,
        welcome: Vec<String>,
    ) -> Self {
        let (online, tubes) = (HashMap::new(), BTreeMap::new());
        let devices = Devices::new(&env);
        Self {
            env,
            session,
            local,
            online,
            tubes,
            files: Files::default(),
            features,
            welcome,
            devices,
            stays: Stays::new(),
            logins: 0,
            share: None,
            phase: Phase::Live,
        }
    }

    /// All features with those of the services that are offered or welcome.
    fn all_features(&self) -> Vec<String> {
        let offered = self.tubes.values().filter_map(|tube| match &tube.party {
            Party::Offered(service) => Some(service),
            Party::Joined(_) => None,
        });
        let services = offered
            .chain(&self.welcome)
            .map(|service| service_feature(service));
        self.features.iter().cloned().chain(services).collect()
    }

    /// Says what this account can do now; returns what ends when that is so. Nothing else is handled before.
    fn advertise(&self, ctx: &mut Context<Self>) -> oneshot::Receiver<()> {
        let session = self.session.clone();
        let features = self.all_features();
        let (until_said, said) = oneshot::channel();
        let advertising = async move {
            session.advertise(features).await;
            drop(until_said);
        };
        ctx.wait(actix::fut::wrap_future(advertising));
        said
    }

    fn add(&mut self, tube: TubeId, entry: Tube) {
        self.tubes.insert(tube, entry);
    }

    /// The name of a new tube, and what tells this actor that it is gone.
    fn new_tube(&mut self, ctx: &Context<Self>) -> (TubeId, Obituary) {
        let tube = TubeId::new();
        let account = ctx.address();
        // One notice for each tube there was, so their number is bounded by that of the tubes.
        (tube, Obituary::new(move || account.do_send(TubeGone(tube))))
    }

    /// How many tubes were offered to this account.
    fn joined(&self) -> usize {
        let joined = |tube: &&Tube| matches!(tube.party, Party::Joined(_));
        self.tubes.values().filter(joined).count()
    }

    /// The tubes with this contact.
    fn tubes_with(&self, peer: &BareJid) -> Vec<Addr<TubeActor>> {
        let with = |tube: &&Tube| tube.peer == *peer;
        self.tubes
            .values()
            .filter(with)
            .map(|tube| tube.addr.clone())
            .collect()
    }

    fn link(&mut self, link: Link) {
        let event = match link {
            Link::Reset(login) => {
                self.local.send_replace(login.jid.clone());
                // One for each login.
                self.env.negotiator.do_send(LoggedIn {
                    account: login.jid.clone(),
                    stanzas: self.env.stanzas.clone(),
                });
                self.devices.logged_in(login.jid.to_bare());
                // What was entered before the first one is heard of was entered in that.
                let lost = self.stays.values().filter(|_| self.logins > 0);
                for stay in lost {
                    // One for each login.
                    stay.addr.do_send(room::Reset);
                }
                self.logins += 1;
                let (server, tls) = (login.server, login.tls);
                Event::Online {
                    jid: login.jid,
                    server,
                    tls,
                    resumed: false,
                }
            }
            Link::Resumed(login) => {
                let (server, tls) = (login.server, login.tls);
                Event::Online {
                    jid: login.jid,
                    server,
                    tls,
                    resumed: true,
                }
            }
            Link::Suspended { reason, retry_in } => Event::Offline {
                reason,
                retry_in: Some(retry_in),
            },
            Link::Throttled { bytes_per_second } => Event::Throttled { bytes_per_second },
            Link::Down(error) => return self.fall(&error.to_string()),
        };
        self.env.announcer.announce(event);
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        if self.phase == Phase::Live {
            let reason = failure::internal().message;
            self.env.announcer.announce(Event::Offline {
                reason,
                retry_in: None,
            });
        }
        System::current().stop();
    }
}

/// The session reports something. It waits for the answer before it reports more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Report(pub(crate) SessionEvent);

impl Handler<Report> for SessionActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Report(event): Report, ctx: &mut Self::Context) -> Self::Result {
        match event {
            SessionEvent::Exceeded { bound, who } => {
                if let Some(limit) = Limit::of_session(bound) {
                    self.env.notices.reached(limit, who);
                }
            }
            // The application hears it itself.
            SessionEvent::Ignored { shared: true, .. } if self.is_shared() => {}
            SessionEvent::Ignored { what, who, .. } => self.ignored(what, &who),
            SessionEvent::Link(link) => self.link(link),
            SessionEvent::Offline { jid, why } => return self.resource_offline(jid, &why),
            SessionEvent::Online { jid, abilities } => return self.resource_online(jid, abilities),
            SessionEvent::Message(message) => self.hand_on(Heard::Message(message)),
            SessionEvent::Presence(presence) => self.hand_on(Heard::Presence(presence)),
            SessionEvent::Room(says) => return self.room_says(says, ctx),
            SessionEvent::Unclaimed { inbound, sender } => {
                return self.unclaimed(inbound, sender, ctx);
            }
            _ => {}
        }
        Box::pin(async {})
    }
}

impl SessionActor {
    fn resource_online(&mut self, resource: FullJid, abilities: Abilities) -> ResponseFuture<()> {
        self.note_taker(&resource, &abilities);
        if !abilities.tubes {
            return self.tubes_offline(resource, &Gone::Peer);
        }
        let ours = abilities.ours;
        let tubes = self.tubes_with(&resource.to_bare());
        let before = self.online.insert(resource.clone(), abilities);
        if before.is_none() {
            self.devices.online(resource.to_bare());
            let peer = resource.clone();
            self.env.announcer.announce(Event::PeerOnline { peer });
        }
        Box::pin(async move {
            for tube in tubes {
                // A tube that is gone needs no news.
                let _ = tube
                    .send(PeerOnline {
                        resource: resource.clone(),
                        ours,
                    })
                    .await;
            }
        })
    }

    fn resource_offline(&mut self, resource: FullJid, why: &Gone) -> ResponseFuture<()> {
        self.forget_taker(&resource);
        self.tubes_offline(resource, why)
    }

    fn tubes_offline(&mut self, resource: FullJid, why: &Gone) -> ResponseFuture<()> {
        let tubes = self.tubes_with(&resource.to_bare());
        if self.online.remove(&resource).is_some() {
            let peer = resource.clone();
            self.env.announcer.announce(Event::PeerOffline { peer });
        }
        let whose = match why {
            Gone::Session => Whose::Ours,
            _ => Whose::Theirs,
        };
        Box::pin(async move {
            for tube in tubes {
                let resource = resource.clone();
                let _ = tube.send(PeerOffline { resource, whose }).await;
            }
        })
    }
}

/// A tube is no more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TubeGone(TubeId);

impl Handler<TubeGone> for SessionActor {
    type Result = ();

    fn handle(&mut self, TubeGone(tube): TubeGone, ctx: &mut Self::Context) {
        let gone = self.tubes.remove(&tube);
        if let Some(Tube {
            party: Party::Offered(_),
            ..
        }) = gone
        {
            self.advertise(ctx);
        }
    }
}

/// The session reports no more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Silent;

impl Handler<Silent> for SessionActor {
    type Result = ();

    fn handle(&mut self, Silent: Silent, _: &mut Self::Context) {
        if self.phase == Phase::Live {
            self.fall("the session ended unexpectedly");
        }
    }
}

impl SessionActor {
    /// The session is lost for good, and the tubes with it.
    fn fall(&mut self, reason: &str) {
        self.phase = Phase::Lost;
        for tube in self.tubes.values() {
            // Once, to each tube there is.
            tube.addr.do_send(Close {
                error: Some(failure::session(reason)),
                wind_down: limits::WIND_DOWN,
            });
        }
        self.lose_files(reason);
        let reason = reason.to_owned();
        let retry_in = None;
        self.env
            .announcer
            .announce(Event::Offline { reason, retry_in });
    }
}
