//! People who go, and come back.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tubes::{Access, Address, FailureKind, Offer, TransportName};
use tubes_server::Server;
use xmpp_parsers::jid::ResourcePart;

use crate::stage::{
    Family, Person, Service, Stream, connect, credentials, over, patiently, share, transport,
};

crate::on_each_server_and_transport!(
    a_joiner_who_leaves_ends_connections_and_tube,
    an_offerer_who_leaves_ends_connections_and_tube,
    a_joiner_who_died_is_offered_the_tube_again_when_back,
    an_offerer_who_died_may_offer_again_when_back,
);

async fn a_joiner_who_leaves_ends_connections_and_tube(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let mut shared = share(server, &service.address()).await;
    let mut program = shared.program().await;
    let mut served = service.accept().await;
    pass(&mut program, &mut served).await;
    shared.fernand.leave().await;
    ends(&mut served).await;
    let (.., error) = shared.alice.connection_closed().await;
    assert_eq!(error.unwrap().kind, FailureKind::Closed);
    let error = shared.alice.tube_closed().await;
    assert_eq!(error.unwrap().kind, FailureKind::Closed);
    shared.alice.leave().await;
}

async fn an_offerer_who_leaves_ends_connections_and_tube(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let mut shared = share(server, &service.address()).await;
    let mut program = shared.program().await;
    let mut served = service.accept().await;
    pass(&mut program, &mut served).await;
    shared.alice.leave().await;
    ends(&mut program).await;
    let (.., error) = shared.fernand.connection_closed().await;
    assert_eq!(error.unwrap().kind, FailureKind::Closed);
    let error = shared.fernand.tube_closed().await;
    assert_eq!(error.unwrap().kind, FailureKind::Closed);
    shared.fernand.leave().await;
}

async fn a_joiner_who_died_is_offered_the_tube_again_when_back(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let account = server.fresh_account("fernand").await.unwrap();
    let laptop = ResourcePart::new("laptop").unwrap();
    let credentials = credentials(server, &account).with_resource(&laptop);
    let mut alice = Person::on(server, "alice").await;
    alice.tubes.befriend(&account.jid).await;
    let offer = Offer::new(account.jid.clone(), "x-test", service.address());
    alice.tubes.offer(offer).await.unwrap();

    let body = body();
    let living = body.spawn(over(transport(), Person::with(credentials.clone())));
    let mut fernand = living.await.unwrap().unwrap();
    let mut program = connect(&accept(&mut fernand, &alice).await).await.unwrap();
    let mut served = service.accept().await;
    pass(&mut program, &mut served).await;
    // Without a word to anybody.
    body.shutdown_background();
    ends(&mut program).await;
    if !needs_the_session() {
        breaks(&mut served).await;
    }

    // A server that would wait for the dead learns from this login that it is in vain.
    let mut fernand = Person::with(credentials).await.unwrap();
    if needs_the_session() {
        breaks(&mut served).await;
    }
    let (.., error) = alice.connection_closed().await;
    assert_eq!(error.unwrap().kind, after_a_death());
    let address = accept(&mut fernand, &alice).await;
    let mut program = connect(&address).await.unwrap();
    pass(&mut program, &mut service.accept().await).await;
    fernand.leave().await;
    alice.leave().await;
}

async fn an_offerer_who_died_may_offer_again_when_back(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let account = server.fresh_account("alice").await.unwrap();
    let laptop = ResourcePart::new("laptop").unwrap();
    let credentials = credentials(server, &account).with_resource(&laptop);
    let mut fernand = Person::on(server, "fernand").await;
    let offer = Offer::new(fernand.jid.clone(), "x-test", service.address());

    let body = body();
    let living = body.spawn(over(transport(), Person::with(credentials.clone())));
    let alice = living.await.unwrap().unwrap();
    alice.tubes.befriend(&fernand.jid).await;
    alice.tubes.offer(offer.clone()).await.unwrap();
    let mut program = connect(&accept(&mut fernand, &alice).await).await.unwrap();
    let mut served = service.accept().await;
    pass(&mut program, &mut served).await;
    body.shutdown_background();
    ends(&mut served).await;
    if !needs_the_session() {
        breaks(&mut program).await;
    }

    let alice = Person::with(credentials).await.unwrap();
    if needs_the_session() {
        breaks(&mut program).await;
    }
    let (.., error) = fernand.connection_closed().await;
    assert_eq!(error.unwrap().kind, after_a_death());
    alice.tubes.offer(offer).await.unwrap();
    let mut program = connect(&accept(&mut fernand, &alice).await).await.unwrap();
    pass(&mut program, &mut service.accept().await).await;
    fernand.leave().await;
    alice.leave().await;
}

/// Where a person lives that will die: all tasks and sockets go with it.
fn body() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// Fernand deals with Alice, and accepts what she offers.
async fn accept(fernand: &mut Person, alice: &Person) -> Address {
    fernand.tubes.befriend(&alice.jid).await;
    let tube = fernand.offered().await;
    let listen = Family::Tcp.place().address;
    let accepting = fernand.tubes.accept(tube, listen, Access::Localhost);
    patiently("the tube is accepted", accepting).await.unwrap()
}

/// Passes something from one to the other.
async fn pass(from: &mut Stream, to: &mut Stream) {
    from.write_all(b"hello").await.unwrap();
    let mut hello = [0; 5];
    let reading = to.read_exact(&mut hello);
    patiently("something is passed on", reading).await.unwrap();
    assert_eq!(&hello, b"hello");
}

/// Whether a connection lasts as long as the server takes the dead for living. Any other one is the
/// kernel's, which ends it with the process.
fn needs_the_session() -> bool {
    transport() == TransportName::Ibb
}

/// Why a connection ended whose other side died: a kernel says no more than that it is broken.
fn after_a_death() -> FailureKind {
    match needs_the_session() {
        true => FailureKind::Gone,
        false => FailureKind::Closed,
    }
}

/// The connection ends, and not as if all had been said.
async fn breaks(stream: &mut Stream) {
    let reading = stream.read_u8();
    let broken = patiently("the connection is broken", reading).await;
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// The connection ends, well or not.
async fn ends(stream: &mut Stream) {
    let mut rest = Vec::new();
    let reading = stream.read_to_end(&mut rest);
    // A socket without resets ends well whatever happened.
    let _ = patiently("the connection has ended", reading).await;
    assert!(rest.is_empty());
}
