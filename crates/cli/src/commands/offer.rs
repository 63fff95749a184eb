//! `tubes offer`: shares the service that listens at an address, or a command.

use std::collections::BTreeMap;

use tubes::{
    Audience, BareJid, Command, Direction, Event, Export, Failure, FailureKind, FullJid,
    Parameters, TubeId, Tubes,
};

use super::{meet, next, used_once};
use crate::args::{Global, Offer};
use crate::exit::Stop;
use crate::feed::Feed;
use crate::interrupt::Interrupt;
use crate::online::Online;
use crate::output::Output;
use crate::parameter::Parameter;

pub(crate) async fn run(global: &Global, offer: Offer, interrupt: &Interrupt) -> Result<(), Stop> {
    let export = exported(&offer)?;
    let only_one = export.is_for_one();
    let mut output = Output::new(global.output);
    if only_one {
        output = output.beside_stdio()?;
    }
    let parameters = together(offer.parameters)?;
    let party = offer.to.party();
    let party = party.ok_or_else(|| Stop::Usage("name --to or --room".to_owned()))?;

    let limits = offer.bounds.limits();
    let online = Online::log_in(global, None, limits, output, interrupt).await?;
    online
        .work(interrupt, async |tubes: &Tubes, feed: &mut Feed| {
            let audience = meet(tubes, &party, global).await?;
            feed.remark(&announcement(&offer.service, &audience))?;
            let wanted = tubes::Offer::of(audience.clone(), offer.service, export)
                .with_parameters(parameters);
            if only_one {
                let tube = tubes.offer(wanted).await?;
                return used_once(feed, tube).await;
            }
            match audience {
                Audience::Contact(contact) => again_and_again(tubes, feed, &wanted, &contact).await,
                Audience::Room(_) => {
                    let tube = tubes.offer(wanted).await?;
                    in_room(feed, tube).await
                }
            }
        })
        .await
}

fn announcement(service: &str, audience: &Audience) -> String {
    match audience {
        Audience::Contact(contact) => {
            format!("offering {service} to {contact} as soon as it is online; interrupt to end")
        }
        Audience::Room(room) => format!("offering {service} to all in {room}; interrupt to end"),
    }
}

/// A tube in a room ends when this side is put out of it.
async fn in_room(feed: &mut Feed, tube: TubeId) -> Result<(), Stop> {
    loop {
        match next(feed).await? {
            Event::TubeClosed {
                tube: which, error, ..
            } if which == tube => return error.map_or(Ok(()), |failure| Err(failure.into())),
            _ => {}
        }
    }
}

/// What the command line wants to be shared.
fn exported(offer: &Offer) -> Result<Export, Stop> {
    match (&offer.exec, &offer.address) {
        (Some(line), _) => Ok(Command::shell(line).into()),
        (None, Some(address)) if offer.proxy_protocol => {
            Ok(Export::from(address.clone()).with_proxy_header())
        }
        (None, Some(address)) => Ok(address.clone().into()),
        (None, None) => Err(Stop::Usage("name an ADDRESS, or --exec".to_owned())),
    }
}

/// Offers until interrupted: a contact that has left or closed the tube may come back.
async fn again_and_again(
    tubes: &Tubes,
    feed: &mut Feed,
    wanted: &tubes::Offer,
    peer: &BareJid,
) -> Result<(), Stop> {
    let mut crowd = Crowd::default();
    loop {
        let tube = tubes.offer(wanted.clone()).await?;
        let failure = closed(feed, tube, peer, &mut crowd).await?;
        match failure.as_ref().map(|failure| failure.kind) {
            // An offer waits for the contact by itself.
            Some(FailureKind::Gone) => {
                feed.remark(&format!("{peer} has left; offering again when it returns"))?;
            }
            // On the wire, closing a tube that was never used is the same as declining it. Either
            // way the same program would only do it again.
            None | Some(FailureKind::Closed | FailureKind::Declined) => {
                feed.remark(&format!(
                    "{peer} closed it; offering again when another program of it comes online"
                ))?;
                while !crowd.has_somebody_new() {
                    let event = feed.next().await?;
                    crowd.note(&event, peer);
                }
            }
            Some(_) => return failure.map_or(Ok(()), |failure| Err(failure.into())),
        }
        crowd.forget_the_offer();
    }
}

/// Waits for the end of the tube, and says what ended it.
async fn closed(
    feed: &mut Feed,
    tube: TubeId,
    peer: &BareJid,
    crowd: &mut Crowd,
) -> Result<Option<Failure>, Stop> {
    loop {
        let event = feed.next().await?;
        crowd.note(&event, peer);
        match event {
            Event::TubeClosed {
                tube: which, error, ..
            } if which == tube => return Ok(error),
            _ => {}
        }
    }
}

/// The contact's resources that do tubes and are online, and whether each was offered ours.
#[derive(Debug, Default)]
struct Crowd(BTreeMap<FullJid, Told>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Offered,
    Nothing,
}

impl Crowd {
    fn note(&mut self, event: &Event, contact: &BareJid) {
        match event {
            Event::PeerOffline { peer } => drop(self.0.remove(peer)),
            Event::PeerOnline { peer } if peer.to_bare() == *contact => self.came(peer),
            Event::TubeOffered {
                peer,
                direction: Direction::Out,
                ..
            } => drop(self.0.insert(peer.clone(), Told::Offered)),
            _ => {}
        }
    }

    /// It may also have been there, and have changed what it can do.
    fn came(&mut self, peer: &FullJid) {
        self.0.entry(peer.clone()).or_insert(Told::Nothing);
    }

    fn has_somebody_new(&self) -> bool {
        self.0.values().any(|told| *told == Told::Nothing)
    }

    fn forget_the_offer(&mut self) {
        for told in self.0.values_mut() {
            *told = Told::Nothing;
        }
    }
}

fn together(list: Vec<Parameter>) -> Result<Parameters, Stop> {
    let mut parameters = Parameters::default();
    for Parameter { key, value } in list {
        if parameters.get(&key).is_some() {
            return Err(Stop::Usage(format!("--param gives {key} twice")));
        }
        parameters
            .insert(key.as_str(), value)
            .map_err(|why| Stop::Usage(format!("--param {key} cannot be sent: {why}")))?;
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn fernand(resource: &str) -> FullJid {
        format!("fernand@example.org/{resource}").parse().unwrap()
    }

    fn note(crowd: &mut Crowd, event: &Event) {
        crowd.note(event, &fernand("any").to_bare());
    }

    fn offered(resource: &str) -> Crowd {
        Crowd(BTreeMap::from([(fernand(resource), Told::Offered)]))
    }

    #[test]
    fn whoever_closed_the_tube_is_not_asked_again() {
        let mut crowd = offered("laptop");
        let peer = fernand("laptop");
        note(&mut crowd, &Event::PeerOnline { peer });
        assert!(!crowd.has_somebody_new());
    }

    #[test]
    fn another_program_of_the_contact_is_asked() {
        let mut crowd = offered("laptop");
        let peer = fernand("phone");
        note(&mut crowd, &Event::PeerOnline { peer });
        assert!(crowd.has_somebody_new());
    }

    #[test]
    fn one_that_left_and_returned_is_asked() {
        let mut crowd = offered("laptop");
        let peer = fernand("laptop");
        note(&mut crowd, &Event::PeerOffline { peer: peer.clone() });
        assert!(!crowd.has_somebody_new());
        note(&mut crowd, &Event::PeerOnline { peer });
        assert!(crowd.has_somebody_new());
    }

    #[test]
    fn somebody_else_is_nobody() {
        let mut crowd = offered("laptop");
        let peer = "alice@example.org/laptop".parse().unwrap();
        note(&mut crowd, &Event::PeerOnline { peer });
        assert!(!crowd.has_somebody_new());
    }
}
