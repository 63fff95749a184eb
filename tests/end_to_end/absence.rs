//! People who go, and come back.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tubes::{Access, Address, Event, FailureKind, Offer};
use tubes_server::{Server, ServerKind};
use tubes_testkit::{Ending, Link};
use xmpp_parsers::jid::ResourcePart;

use crate::stage::{
    Content, Family, Person, Service, Stream, connect, credentials, digest, echo, lead, patiently,
    share,
};

crate::on_each_server!(
    a_joiner_who_leaves_ends_connections_and_tube,
    an_offerer_who_leaves_ends_connections_and_tube,
    a_joiner_who_died_is_offered_the_tube_again_when_back,
    an_offerer_who_died_may_offer_again_when_back,
    a_tube_outlives_a_lost_link,
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
    let living = body.spawn(Person::with(credentials.clone()));
    let mut fernand = living.await.unwrap().unwrap();
    let mut program = connect(&accept(&mut fernand, &alice).await).await.unwrap();
    let mut served = service.accept().await;
    pass(&mut program, &mut served).await;
    // Without a word to anybody.
    body.shutdown_background();
    ends(&mut program).await;

    // A server that would wait for the dead learns from this login that it is in vain.
    let mut fernand = Person::with(credentials).await.unwrap();
    ends(&mut served).await;
    let (.., error) = alice.connection_closed().await;
    assert_eq!(error.unwrap().kind, FailureKind::Gone);
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
    let living = body.spawn(Person::with(credentials.clone()));
    let alice = living.await.unwrap().unwrap();
    alice.tubes.befriend(&fernand.jid).await;
    alice.tubes.offer(offer.clone()).await.unwrap();
    let mut program = connect(&accept(&mut fernand, &alice).await).await.unwrap();
    let mut served = service.accept().await;
    pass(&mut program, &mut served).await;
    body.shutdown_background();
    ends(&mut served).await;

    let alice = Person::with(credentials).await.unwrap();
    ends(&mut program).await;
    let (.., error) = fernand.connection_closed().await;
    assert_eq!(error.unwrap().kind, FailureKind::Gone);
    alice.tubes.offer(offer).await.unwrap();
    let mut program = connect(&accept(&mut fernand, &alice).await).await.unwrap();
    pass(&mut program, &mut service.accept().await).await;
    fernand.leave().await;
    alice.leave().await;
}

async fn a_tube_outlives_a_lost_link(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let account = server.fresh_account("fernand").await.unwrap();
    let link = Link::to(server.address()).await.unwrap();
    let credentials = lead(&link, credentials(server, &account));
    let mut alice = Person::on(server, "alice").await;
    let mut fernand = Person::with(credentials).await.unwrap();
    fernand.online().await;
    alice.tubes.befriend(&fernand.jid).await;
    let offer = Offer::new(fernand.jid.clone(), "x-test", service.address.clone());
    alice.tubes.offer(offer).await.unwrap();
    let address = accept(&mut fernand, &alice).await;
    let (mut reader, mut writer) = tokio::io::split(connect(&address).await.unwrap());
    let said = Content::of(1, SIZE);
    let expected = digest(&said);
    let writing = tokio::spawn(async move { writer.write_all(&said).await });
    let mut heard = vec![0; SIZE / 2];
    let reading = reader.read_exact(&mut heard);
    patiently("half of it is back", reading).await.unwrap();
    link.cut(Ending::Reset);

    if is_resumed(&mut fernand).await {
        // It was but a pause.
        let mut rest = vec![0; SIZE - SIZE / 2];
        let reading = reader.read_exact(&mut rest);
        patiently("the other half is back", reading).await.unwrap();
        assert_eq!(digest(&[heard, rest].concat()), expected);
        writing.await.unwrap().unwrap();
    } else {
        assert_eq!(server.kind(), ServerKind::Embedded, "real servers resume");
        let breaking = reader.read_to_end(&mut heard);
        let broken = patiently("the connection has ended", breaking).await;
        assert_eq!(broken.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let (.., error) = fernand.connection_closed().await;
        assert_eq!(error.unwrap().kind, FailureKind::Gone);
        let (.., error) = alice.connection_closed().await;
        assert_eq!(error.unwrap().kind, FailureKind::Gone);
    }
    patiently("the tube works again", until_served(&address)).await;
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

/// Waits for the link to be up again; whether it is the same session that goes on.
async fn is_resumed(person: &mut Person) -> bool {
    person
        .event(|event| match event {
            Event::Online { resumed, .. } => Some(*resumed),
            _ => None,
        })
        .await
}

/// Connects until Alice is back from Fernand's point of view.
async fn until_served(address: &Address) {
    loop {
        // The reset may come before the program knows that it was let in.
        if let Ok(mut program) = connect(address).await
            && greet(&mut program).await.is_ok()
        {
            return;
        }
    }
}

/// Says something to the echo.
async fn greet(program: &mut Stream) -> std::io::Result<()> {
    let greeting = async {
        program.write_all(b"hello").await?;
        program.read_exact(&mut [0; 5]).await
    };
    patiently("the greeting is echoed, or not", greeting).await?;
    Ok(())
}

/// Passes something from one to the other.
async fn pass(from: &mut Stream, to: &mut Stream) {
    from.write_all(b"hello").await.unwrap();
    let mut hello = [0; 5];
    let reading = to.read_exact(&mut hello);
    patiently("something is passed on", reading).await.unwrap();
    assert_eq!(&hello, b"hello");
}

/// The connection ends, well or not.
async fn ends(stream: &mut Stream) {
    let mut rest = Vec::new();
    let reading = stream.read_to_end(&mut rest);
    // A socket without resets ends well whatever happened.
    let _ = patiently("the connection has ended", reading).await;
    assert!(rest.is_empty());
}

/// Takes long enough to be cut in the middle.
const SIZE: usize = 1024 * 1024;
