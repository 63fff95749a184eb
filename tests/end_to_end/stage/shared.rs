//! A tube from Alice's service to Fernand's programs.

use tubes::{Access, Address, Event, Offer, TubeId};
use tubes_server::Server;

use super::{Family, Person, Place, Stream, connect, pair, patiently};

/// A tube from Alice's service to a socket of Fernand's.
pub(crate) struct Shared {
    pub(crate) alice: Person,
    pub(crate) fernand: Person,
    pub(crate) offered: TubeId,
    pub(crate) joined: TubeId,
    /// Where Fernand's programs connect.
    pub(crate) address: Address,
    _place: Place,
}

impl Shared {
    /// Connects one of Fernand's programs.
    pub(crate) async fn program(&self) -> Stream {
        let connecting = connect(&self.address);
        patiently("a program is let in", connecting).await.unwrap()
    }

    /// Both leave; what happened to each that was not asked for.
    pub(crate) async fn leave(self) -> (Vec<Event>, Vec<Event>) {
        // One after the other, so that who leaves first has somebody to take leave of.
        let of_fernand = self.fernand.leave().await;
        (self.alice.leave().await, of_fernand)
    }
}

/// Alice offers the service, and Fernand accepts it at a TCP port.
pub(crate) async fn share(server: &Server, service: &Address) -> Shared {
    share_as(server, service, Family::Tcp).await
}

/// As [`share_between`] two people with new accounts.
pub(crate) async fn share_as(server: &Server, service: &Address, family: Family) -> Shared {
    let (alice, fernand) = pair(server).await;
    share_between(alice, fernand, service, family).await
}

/// Alice offers the service to Fernand, who deals with her, and accepts it at a socket of this
/// family.
pub(crate) async fn share_between(
    alice: Person,
    mut fernand: Person,
    service: &Address,
    family: Family,
) -> Shared {
    let offer = Offer::new(fernand.jid.clone(), "x-test", service.clone());
    let offered = alice.tubes.offer(offer).await.unwrap();
    let joined = fernand.offered().await;
    let place = family.place();
    let listen = place.address.clone();
    let accepting = fernand.tubes.accept(joined, listen, Access::Localhost);
    let address = patiently("the tube is accepted", accepting).await.unwrap();
    Shared {
        alice,
        fernand,
        offered,
        joined,
        address,
        _place: place,
    }
}
