//! `tubes accept`: accepts the tube a contact offers, and listens for the programs that use it.

use std::collections::VecDeque;

use tracing::warn;
use tubes::local::{Permissions, Reservation};
use tubes::{
    AcceptError, Address, Audience, BareJid, BindError, Direction, Event, Failure, FailureKind,
    FullJid, Listener, TubeId, Tubes,
};

use super::{meet, next, used_once};
use crate::args::{Accept, Global};
use crate::exit::Stop;
use crate::feed::Feed;
use crate::interrupt::Interrupt;
use crate::online::Online;
use crate::output::Output;

pub(crate) async fn run(
    global: &Global,
    accept: Accept,
    interrupt: &Interrupt,
) -> Result<(), Stop> {
    if !accept.access.fits(&accept.listen) {
        return Err(Stop::Usage(format!(
            "--access {} does not work at {}: port:N is for TCP, credentials for Unix sockets",
            accept.access, accept.listen
        )));
    }
    if !permissions(&accept).fits(&accept.listen) {
        return Err(Stop::Usage(format!(
            "--mode, --owner and --group do not work at {}: they are for the file of unix:PATH",
            accept.listen
        )));
    }
    let mut output = Output::new(global.output);
    // From here on: programs that know the port must not meet one there that was given any, between two
    // tubes.
    let reservation = Reservation::of(&accept.listen).await?;
    if accept.listen == Address::Stdio {
        output = output.beside_stdio()?;
    } else {
        // Better now than when the contact has offered something in vain.
        let listener = bind(reservation.address(), &accept).await?;
        if listener.is_open_to_others() {
            warn!(
                address = %accept.listen,
                "programs on other machines can use the tube; listen on 127.0.0.1 if they are not to"
            );
        }
    }
    let party = accept.from.party();
    let party = party.ok_or_else(|| Stop::Usage("name --from or --room".to_owned()))?;
    let (wanted, limits) = (accept.service.as_deref(), accept.bounds.limits());
    let online = Online::log_in(global, wanted, limits, output, interrupt).await?;
    online
        .work(interrupt, async |tubes: &Tubes, feed: &mut Feed| {
            let audience = meet(tubes, &party, global).await?;
            let what = accept.service.as_deref().unwrap_or("a service");
            feed.remark(&match &audience {
                Audience::Contact(contact) => format!("waiting for {contact} to offer {what}"),
                Audience::Room(room) => format!("waiting for somebody in {room} to offer {what}"),
            })?;
            let listen = reservation.address().clone();
            one_after_another(tubes, feed, audience.jid(), &accept, listen).await
        })
        .await
}

/// One tube at a time, always at the same address.
async fn one_after_another(
    tubes: &Tubes,
    feed: &mut Feed,
    from: &BareJid,
    accept: &Accept,
    mut listen: Address,
) -> Result<(), Stop> {
    let mut offers = Offers::new(from, accept.service.as_deref());
    loop {
        let invitation = loop {
            match offers.take() {
                Some(invitation) => break invitation,
                None => offers.note(&next(feed).await?),
            }
        };
        let tube = invitation.tube;
        // A port the kernel picked stays the same: programs know it by now.
        let listener = bind(&listen, accept).await?;
        listen = match tubes.accept_at(tube, listener).await {
            Ok(address) => address,
            // Taken back before it could be accepted.
            Err(AcceptError::Gone) => continue,
            Err(error) => return Err(error.into()),
        };
        if listen == Address::Stdio {
            return used_once(feed, tube).await;
        }
        if accept.once {
            return match closed(feed, tube).await? {
                Some(failure) if failure.kind != FailureKind::Closed => Err(failure.into()),
                _ => Ok(()),
            };
        }
        match used(feed, &mut offers, &invitation).await? {
            End::Closed => {}
            End::Superseded => {
                feed.remark("the tube's other end is gone; going on with a newer offer")?;
                tubes.close(tube).await;
                continue;
            }
        }
        feed.remark(&format!("waiting for the next offer of {from}"))?;
    }
}

async fn bind(listen: &Address, accept: &Accept) -> Result<Listener, BindError> {
    Listener::bind_with_permissions(listen, accept.access, permissions(accept)).await
}

/// Who else may use the socket's file.
fn permissions(accept: &Accept) -> Permissions {
    let mut permissions = Permissions::default();
    if let Some(mode) = accept.mode {
        permissions = permissions.with_mode(mode);
    }
    if let Some(owner) = accept.owner {
        permissions = permissions.with_owner(owner);
    }
    if let Some(group) = accept.group {
        permissions = permissions.with_group(group);
    }
    permissions
}

/// Waits for the end of the tube, and says what ended it.
async fn closed(feed: &mut Feed, tube: TubeId) -> Result<Option<Failure>, Stop> {
    loop {
        match next(feed).await? {
            Event::TubeClosed {
                tube: which, error, ..
            } if which == tube => return Ok(error),
            _ => {}
        }
    }
}

/// Waits until the tube is of no use any more; later offers are kept meanwhile.
///
/// Who offered it may have died without a word, and offer again in a new life; a server that
/// hopes for the dead calls them online for minutes. So a sign of that is enough if there is
/// another offer to go on with, and nothing without.
async fn used(
    feed: &mut Feed,
    offers: &mut Offers<'_>,
    invitation: &Invitation,
) -> Result<End, Stop> {
    let mut offerer = Offerer::Alive;
    loop {
        if offerer == Offerer::PerhapsDead && offers.has_any() {
            return Ok(End::Superseded);
        }
        let event = next(feed).await?;
        offers.note(&event);
        match event {
            Event::TubeClosed { tube, .. } if tube == invitation.tube => return Ok(End::Closed),
            event if invitation.is_shaken_by(&event) => offerer = Offerer::PerhapsDead,
            _ => {}
        }
    }
}

/// How a tube came to be of no use.
enum End {
    Closed,
    Superseded,
}

/// What is known of whoever offered the tube in use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Offerer {
    Alive,
    PerhapsDead,
}

/// An offer that matches.
pub(super) struct Invitation {
    pub(super) tube: TubeId,
    offerer: FullJid,
}

impl Invitation {
    /// Whether this says that who offered the tube may be no more.
    fn is_shaken_by(&self, event: &Event) -> bool {
        match event {
            Event::PeerOffline { peer } => *peer == self.offerer,
            Event::ConnectionClosed {
                tube,
                error: Some(failure),
                ..
            } => {
                *tube == self.tube
                    && matches!(failure.kind, FailureKind::Gone | FailureKind::TimedOut)
            }
            _ => false,
        }
    }
}

/// The offers that match and were not accepted yet, oldest first.
///
/// How many one contact may have is bounded by the account.
pub(super) struct Offers<'a> {
    from: &'a BareJid,
    service: Option<&'a str>,
    waiting: VecDeque<Invitation>,
    /// The last one that was taken: it is offered anew when its offerer changes its name in a room.
    taken: Option<TubeId>,
}

impl<'a> Offers<'a> {
    pub(super) fn new(from: &'a BareJid, service: Option<&'a str>) -> Self {
        Self {
            from,
            service,
            waiting: VecDeque::new(),
            taken: None,
        }
    }

    /// Takes notice of an offer that matches, or of its end.
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::TubeOffered {
                tube,
                peer,
                service,
                direction: Direction::In,
                ..
            } if peer.to_bare() == *self.from
                && self.service.is_none_or(|wanted| wanted == service)
                && self.taken != Some(*tube)
                && !self.waiting.iter().any(|waiting| waiting.tube == *tube) =>
            {
                self.waiting.push_back(Invitation {
                    tube: *tube,
                    offerer: peer.clone(),
                });
            }
            Event::TubeClosed { tube, .. } => self.waiting.retain(|waiting| waiting.tube != *tube),
            _ => {}
        }
    }

    pub(super) fn take(&mut self) -> Option<Invitation> {
        let invitation = self.waiting.pop_front()?;
        self.taken = Some(invitation.tube);
        Some(invitation)
    }

    fn has_any(&self) -> bool {
        !self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use std::time::Duration;

    use tokio::time::timeout;
    use tubes::{Events, Offer};
    use tubes_server::{Server, ServerKind};

    use super::*;
    use crate::visitor::Visitor;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_tube_in_use_is_no_newer_offer_when_its_offerer_changes_its_name() {
        if !ServerKind::Embedded.wanted().unwrap() {
            return;
        }
        let server = Server::shared(ServerKind::Embedded).await.unwrap();
        let room: BareJid = format!("accept@{}", server.rooms()).parse().unwrap();
        let alice = in_room(server, &room, "alice").await;
        let mut fernand = in_room(server, &room, "fernand").await;
        let nowhere = "127.0.0.1:9".parse().unwrap();
        let offer = Offer::in_room(room.clone(), "http", nowhere);
        alice.tubes.offer(offer).await.unwrap();
        let mut offers = Offers::new(&room, None);
        offered(&mut offers, &mut fernand.events, "alice").await;
        offers.take().unwrap();
        let renamed = room.with_resource_str("alicia").unwrap();
        alice.tubes.rename_in_room(renamed).await;
        offered(&mut offers, &mut fernand.events, "alicia").await;
        assert!(!offers.has_any());
        fernand.tubes.leave().await;
        alice.tubes.leave().await;
    }

    async fn in_room(server: &Server, room: &BareJid, name: &str) -> Visitor {
        let visitor = Visitor::on(server, name).await;
        let wanted = room.with_resource_str(name).unwrap();
        visitor.tubes.enter(wanted).await.unwrap();
        visitor
    }

    /// Notes what happens until this occupant offers something.
    async fn offered(offers: &mut Offers<'_>, events: &mut Events, nick: &str) {
        loop {
            let event = timeout(PATIENCE, events.next()).await.unwrap().unwrap();
            offers.note(&event);
            if matches!(&event, Event::TubeOffered { peer, .. } if peer.resource().as_str() == nick)
            {
                return;
            }
        }
    }

    const PATIENCE: Duration = Duration::from_secs(60);
}
