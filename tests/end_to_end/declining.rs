//! Offers that are not wanted.

use tubes::{AcceptError, Access, FailureKind, Offer};
use tubes_server::Server;

use crate::stage::{Family, Service, pair, patiently};

crate::on_each_server_and_transport!(
    a_declined_offer_closes_the_tube_at_both_sides,
    a_withdrawn_offer_cannot_be_accepted,
);

async fn a_declined_offer_closes_the_tube_at_both_sides(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let (mut alice, mut fernand) = pair(server).await;
    let offer = Offer::new(fernand.jid.clone(), "x-test", service.address());
    alice.tubes.offer(offer).await.unwrap();
    let tube = fernand.offered().await;
    patiently("the offer is declined", fernand.tubes.close(tube)).await;
    let told = alice.tube_closed().await.map(|failure| failure.kind);
    assert_eq!(told, Some(FailureKind::Declined));
    assert_eq!(fernand.tube_closed().await, None);
    fernand.leave().await;
    alice.leave().await;
}

async fn a_withdrawn_offer_cannot_be_accepted(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let (mut alice, mut fernand) = pair(server).await;
    let offer = Offer::new(fernand.jid.clone(), "x-test", service.address());
    let offered = alice.tubes.offer(offer).await.unwrap();
    let tube = fernand.offered().await;
    patiently("the offer is withdrawn", alice.tubes.close(offered)).await;
    assert_eq!(alice.tube_closed().await, None);
    let told = fernand.tube_closed().await.map(|failure| failure.kind);
    assert_eq!(told, Some(FailureKind::Closed));
    let listen = Family::Tcp.place().address;
    let accepted = fernand.tubes.accept(tube, listen, Access::Localhost).await;
    assert!(matches!(accepted, Err(AcceptError::Gone)), "{accepted:?}");
    fernand.leave().await;
    alice.leave().await;
}
