//! The inside of a client.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};
use tubes_actors::state::{Phase, State, Tube};
use tubes_actors::{AcceptError, Direction, Event, TubeId};
use tubes_local::{Access, Address};
use xmpp_parsers::jid::BareJid;

use super::builder::ClientBuilder;
use super::event::{ClientEvent, ConnectError, Invitation};
use super::policy::{Answer, Policy};
use super::{Connection, Reception};
use crate::stream_tube::{Keeper, Office};
use crate::{StreamTube, Tubes};

/// What a client has in hand.
pub(super) struct Joining {
    policy: Arc<dyn Policy>,
    reception: Reception,
    office: Office<ClientEvent>,
    /// The tubes of which it is not decided yet whether they are wanted, and who decides.
    undecided: Mutex<BTreeMap<TubeId, AbortHandle>>,
}

impl Keeper for Joining {
    type Event = ClientEvent;

    fn office(&self) -> &Office<ClientEvent> {
        &self.office
    }

    fn hear(self: &Arc<Self>, account: &BareJid, tubes: &Tubes, event: &Event) {
        match event {
            Event::TubeClosed { .. } => self.stop_deciding(),
            Event::TubeOffered {
                tube,
                peer,
                audience,
                service,
                direction: Direction::In,
                parameters,
                ..
            } => {
                let tube = StreamTube {
                    account: account.clone(),
                    id: *tube,
                    audience: audience.clone(),
                    service: service.clone(),
                    address: None,
                    phase: Phase::Offered,
                };
                let (offerer, parameters) = (peer.clone(), parameters.clone());
                let invitation = Invitation {
                    tube,
                    offerer,
                    parameters,
                };
                self.invited(invitation, tubes);
            }
            _ => {}
        }
    }

    fn see(self: &Arc<Self>, account: &BareJid, tubes: &Tubes, state: &State) {
        self.stop_deciding();
        for (id, tube) in &state.tubes {
            if let Some(invitation) = open_invitation(account, *id, tube) {
                self.invited(invitation, tubes);
            }
        }
    }
}

impl Joining {
    pub(super) fn new(builder: ClientBuilder) -> Self {
        Self {
            policy: builder.policy,
            reception: builder.reception,
            office: Office::new(builder.scope),
            undecided: Mutex::default(),
        }
    }

    /// A tube is offered; takes it in hand if it is one for this client.
    fn invited(self: &Arc<Self>, invitation: Invitation, tubes: &Tubes) {
        let StreamTube {
            audience, service, ..
        } = &invitation.tube;
        if !self.office.handles(audience, service) {
            return;
        }
        match self.office.rules().without_groups(audience, service) {
            Some(true) => drop(self.begin(invitation, tubes)),
            Some(false) => {}
            // The roster has to be asked, and meanwhile the tube may go.
            None => {
                let (joining, tubes) = (Arc::clone(self), tubes.clone());
                Handle::current().spawn(async move { joining.ask(invitation, &tubes).await });
            }
        }
    }

    /// Takes a tube in hand if it is offered by somebody in a group for which the service is kept.
    async fn ask(self: &Arc<Self>, invitation: Invitation, tubes: &Tubes) {
        let StreamTube {
            account,
            id,
            audience,
            service,
            ..
        } = &invitation.tube;
        if self
            .office
            .rules()
            .permit_now(tubes, audience, service)
            .await
        {
            // It may be gone by now, or in hand.
            let _ = self.take(account, *id).await;
        }
    }

    /// Takes a single tube in hand that was offered, whatever its service; whether it could.
    pub(super) async fn take(
        self: &Arc<Self>,
        account: &BareJid,
        id: TubeId,
    ) -> Option<StreamTube> {
        let hold = self.office.accounts().hold(account).await?;
        let state = hold.tubes.state();
        let invitation = open_invitation(account, id, state.tubes.get(&id)?)?;
        let tube = invitation.tube.clone();
        self.begin(invitation, &hold.tubes)?;
        Some(tube)
    }

    fn begin(self: &Arc<Self>, invitation: Invitation, tubes: &Tubes) -> Option<()> {
        let tube = invitation.tube.clone();
        let id = tube.id;
        let mut undecided = locked(&self.undecided);
        let event = ClientEvent::TubeOffered {
            invitation: invitation.clone(),
        };
        self.office.desk().begin(tube, event)?;
        let deciding = Deciding {
            joining: Arc::clone(self),
            tubes: tubes.clone(),
            invitation,
        };
        let task = Handle::current().spawn(deciding.run());
        undecided.insert(id, task.abort_handle());
        Some(())
    }

    /// Of tubes that are gone nothing is to be decided any more.
    fn stop_deciding(&self) {
        locked(&self.undecided).retain(|tube, task| {
            let is_there = self.office.desk().has(*tube);
            if !is_there {
                task.abort();
            }
            is_there
        });
    }

    pub(super) async fn connect(&self, id: TubeId) -> Result<Connection, ConnectError> {
        let tube = self.office.desk().state().tubes.remove(&id);
        let tube = tube.ok_or(ConnectError::Unknown)?;
        if locked(&self.undecided).contains_key(&id) {
            return Err(ConnectError::Undecided);
        }
        let (tubes, _) = self
            .office
            .accounts()
            .find(&tube.account)
            .ok_or(ConnectError::Unknown)?;
        let (connection, socket) = Connection::pair().await?;
        tubes.attach(id, socket).await?;
        Ok(connection)
    }
}

impl fmt::Debug for Joining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joining")
            .field("office", &self.office)
            .field("reception", &self.reception)
            .finish_non_exhaustive()
    }
}

/// What is to be decided of a tube, and then done.
struct Deciding {
    joining: Arc<Joining>,
    tubes: Tubes,
    invitation: Invitation,
}

impl Deciding {
    async fn run(self) {
        let answer = self.ask().await;
        locked(&self.joining.undecided).remove(&self.invitation.tube.id);
        match (answer, &self.joining.reception) {
            (Answer::Accept, Reception::InHand) => self.ready(),
            (Answer::Accept, Reception::Listening { address, access }) => {
                self.listen(address.clone(), *access).await;
            }
            (Answer::AcceptAt { address, access }, _) => self.listen(address, access).await,
            (Answer::Decline { reason }, _) => self.decline(reason).await,
        }
    }

    /// In a task of its own, so that a panic there ends no more than this; it ends with the future.
    async fn ask(&self) -> Answer {
        let (policy, invitation) = (Arc::clone(&self.joining.policy), self.invitation.clone());
        let mut asking = JoinSet::new();
        asking.spawn(async move { policy.decide(&invitation).await });
        let answer = asking.join_next().await.and_then(Result::ok);
        answer.unwrap_or_else(|| Answer::Decline {
            reason: "the policy panicked; the log says more".to_owned(),
        })
    }

    /// The application may connect.
    fn ready(&self) {
        let tube = self.invitation.tube.clone();
        let address = None;
        let accepted = ClientEvent::TubeAccepted { tube, address };
        self.joining.office.desk().announce(accepted);
    }

    /// Programs may connect. That they may is announced when the account reports it.
    async fn listen(&self, address: Address, access: Access) {
        let tube = &self.invitation.tube;
        let accepted = self.tubes.accept(tube.id, address, access).await;
        let Err(why) = accepted else { return };
        let is_ours = !matches!(why, AcceptError::Already);
        self.joining
            .office
            .desk()
            .announce(ClientEvent::TubeFailed {
                tube: tube.clone(),
                error: Arc::new(why),
            });
        if is_ours {
            self.tubes.close(tube.id).await;
        }
    }

    async fn decline(&self, reason: String) {
        let tube = self.invitation.tube.clone();
        let id = tube.id;
        let declined = ClientEvent::TubeDeclined { tube, reason };
        self.joining.office.desk().announce(declined);
        self.tubes.close(id).await;
    }
}

/// The tube, if it is offered to the account and nobody has accepted it.
fn open_invitation(account: &BareJid, id: TubeId, tube: &Tube) -> Option<Invitation> {
    let offerer = tube.peer.clone().try_into_full().ok()?;
    let is_open = tube.direction == Direction::In && tube.phase == Phase::Offered;
    is_open.then(|| Invitation {
        tube: StreamTube {
            account: account.clone(),
            id,
            audience: tube.audience.clone(),
            service: tube.service.clone(),
            address: None,
            phase: Phase::Offered,
        },
        offerer,
        parameters: tube.parameters.clone(),
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
