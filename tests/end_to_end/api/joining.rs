//! Which tubes a client takes, and where programs connect to them.

use std::slice;

use tubes::{
    AcceptError, Access, Address, Audience, ClientBuilder, ClientEvent, FailureKind, Offer, Rules,
    StreamTube, StreamTubeClient, TubeId,
};
use tubes_server::Server;

use super::{Heard, SERVICE, password};
use crate::stage::{Family, Person, Service, echo, exchange, pair, patiently};

crate::on_each_server!(
    a_tube_is_accepted_at_a_tcp_port_that_the_system_chooses,
    a_tube_is_accepted_at_a_unix_socket,
    tubes_of_other_services_and_contacts_are_left_alone,
    a_tube_that_was_offered_before_is_taken_too,
    a_single_tube_of_any_service_is_taken_when_it_is_handed_over,
    one_client_takes_the_tubes_of_several_accounts,
    a_tube_that_cannot_be_accepted_is_declined,
    a_client_that_is_dropped_closes_its_tubes_and_leaves_the_account_alone,
);

async fn a_tube_is_accepted_at_a_tcp_port_that_the_system_chooses(server: &Server) {
    is_accepted_at(server, Family::Tcp, Access::Localhost).await;
}

async fn a_tube_is_accepted_at_a_unix_socket(server: &Server) {
    is_accepted_at(server, Family::Unix, Access::Credentials).await;
}

async fn is_accepted_at(server: &Server, family: Family, access: Access) {
    let place = family.place();
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let (alice, fernand) = pair(server).await;
    let client = chat()
        .with_monitoring()
        .listening_at(place.address.clone(), access)
        .build();
    let mut heard = Heard::by(client.watch().1);
    added(&client, &fernand).await;
    let offer = Offer::new(fernand.jid.clone(), SERVICE, service.address.clone());
    let tube = alice
        .tubes
        .offer(offer.with_parameters(password("secret")))
        .await
        .unwrap();

    let ClientEvent::TubeOffered { invitation } = heard.next().await else {
        panic!("not offered first");
    };
    assert_eq!(invitation.offerer.to_bare(), alice.jid);
    assert_eq!(
        invitation.tube.audience,
        Audience::Contact(alice.jid.clone())
    );
    assert_eq!(invitation.parameters, password("secret"));
    let ClientEvent::TubeAccepted {
        tube: taken,
        address,
    } = heard.next().await
    else {
        panic!("not accepted then");
    };
    let address = address.unwrap();
    assert_eq!(client.tubes(), slice::from_ref(&taken));
    assert_eq!(taken.address.as_ref(), Some(&address));
    exchange(&address).await.unwrap();
    let ClientEvent::ConnectionOpened { connection } = heard.next().await else {
        panic!("not connected then");
    };
    assert_eq!(
        (connection.contact.to_bare(), connection.tube.id),
        (alice.jid.clone(), taken.id)
    );
    let ClientEvent::ConnectionClosed { connection: of, .. } = heard.next().await else {
        panic!("not closed then");
    };
    assert_eq!(of, connection);
    assert!(client.connections().is_empty());
    patiently("the tube is closed", alice.tubes.close(tube)).await;
    assert_eq!(
        closed(&mut heard).await,
        (taken.id, Some(FailureKind::Closed))
    );
    assert!(client.tubes().is_empty());
    fernand.leave().await;
    alice.leave().await;
}

async fn tubes_of_other_services_and_contacts_are_left_alone(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let carol = Person::on(server, "carol").await;
    carol.tubes.befriend(&fernand.jid).await;
    fernand.tubes.befriend(&carol.jid).await;
    let rules = Rules::new().allow(SERVICE, [alice.jid.clone()]);
    let client = listening(chat().with_rules(rules));
    let mut heard = Heard::by(client.watch().1);
    added(&client, &fernand).await;
    for (from, service) in [(&alice, "x-other"), (&carol, SERVICE), (&alice, SERVICE)] {
        offer(from, &fernand, service).await;
        fernand.offered().await;
    }
    let tube = accepted(&mut heard).await;
    assert_eq!(tube.audience, Audience::Contact(alice.jid.clone()));
    assert_eq!(tube.service, SERVICE);
    assert_eq!(client.tubes(), [tube]);
    // The application may accept them as ever.
    let state = fernand.tubes.state();
    let others = state
        .tubes
        .iter()
        .filter(|(id, _)| **id != client.tubes()[0].id);
    let listen: Address = "127.0.0.1:0".parse().unwrap();
    for (id, _) in others {
        fernand
            .tubes
            .accept(*id, listen.clone(), Access::Localhost)
            .await
            .unwrap();
    }
    assert_eq!(state.tubes.len(), 3);
    carol.leave().await;
    fernand.leave().await;
    alice.leave().await;
}

async fn a_tube_that_was_offered_before_is_taken_too(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    offer(&alice, &fernand, SERVICE).await;
    let before = fernand.offered().await;
    let client = listening(chat());
    let mut heard = Heard::by(client.watch().1);
    added(&client, &fernand).await;
    assert_eq!(accepted(&mut heard).await.id, before);
    fernand.leave().await;
    alice.leave().await;
}

async fn a_single_tube_of_any_service_is_taken_when_it_is_handed_over(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let client = listening(StreamTubeClient::builder());
    let mut heard = Heard::by(client.watch().1);
    added(&client, &fernand).await;
    offer(&alice, &fernand, "x-other").await;
    let tube = fernand.offered().await;
    assert!(client.tubes().is_empty());
    let taken = client.take(&fernand.jid, tube).await.unwrap();
    assert_eq!((taken.id, &*taken.service), (tube, "x-other"));
    assert_eq!(accepted(&mut heard).await.id, tube);
    assert_eq!(client.take(&fernand.jid, tube).await, None);
    fernand.leave().await;
    alice.leave().await;
}

async fn one_client_takes_the_tubes_of_several_accounts(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let (alice, fernand) = pair(server).await;
    let carol = Person::on(server, "carol").await;
    carol.tubes.befriend(&alice.jid).await;
    alice.tubes.befriend(&carol.jid).await;
    let client = listening(chat());
    let mut heard = Heard::by(client.watch().1);
    for person in [&fernand, &carol] {
        added(&client, person).await;
        let offer = Offer::new(person.jid.clone(), SERVICE, service.address.clone());
        alice.tubes.offer(offer).await.unwrap();
        let tube = accepted(&mut heard).await;
        assert_eq!(tube.account, person.jid);
        exchange(&tube.address.unwrap()).await.unwrap();
    }
    carol.leave().await;
    fernand.leave().await;
    alice.leave().await;
}

async fn a_tube_that_cannot_be_accepted_is_declined(server: &Server) {
    let taken = Service::listen(Family::Tcp).await.unwrap();
    let (mut alice, fernand) = pair(server).await;
    let client = chat()
        .listening_at(taken.address(), Access::Localhost)
        .build();
    let mut heard = Heard::by(client.watch().1);
    added(&client, &fernand).await;
    offer(&alice, &fernand, SERVICE).await;
    let why = heard.event(|event| match event {
        ClientEvent::TubeFailed { error, .. } => Some(error.clone()),
        _ => None,
    });
    assert!(matches!(&*why.await, AcceptError::Bind(why) if why.is_in_use()));
    assert_eq!(closed(&mut heard).await.1, None);
    assert_eq!(
        alice.tube_closed().await.unwrap().kind,
        FailureKind::Declined
    );
    fernand.leave().await;
    alice.leave().await;
}

async fn a_client_that_is_dropped_closes_its_tubes_and_leaves_the_account_alone(server: &Server) {
    let (mut alice, fernand) = pair(server).await;
    let client = listening(chat());
    let mut heard = Heard::by(client.watch().1);
    added(&client, &fernand).await;
    offer(&alice, &fernand, SERVICE).await;
    accepted(&mut heard).await;
    drop(client);
    let last = heard.rest().await.pop().unwrap();
    assert!(
        matches!(last, ClientEvent::TubeClosed { error: None, .. }),
        "{last:?}"
    );
    alice.tube_closed().await.unwrap();
    fernand.tubes.login().await.unwrap();
    fernand.leave().await;
    alice.leave().await;
}

/// A client for the service of the tests.
pub(super) fn chat() -> ClientBuilder {
    StreamTubeClient::builder().services_for_contacts([SERVICE])
}

/// One to whose tubes programs connect over TCP.
pub(super) fn listening(builder: ClientBuilder) -> StreamTubeClient {
    let anywhere = "127.0.0.1:0".parse().unwrap();
    builder.listening_at(anywhere, Access::Localhost).build()
}

pub(super) async fn added(client: &StreamTubeClient, person: &Person) {
    let adding = client.add(&person.tubes);
    patiently("the account is added", adding).await.unwrap();
}

/// Offers a service where nobody listens.
pub(super) async fn offer(from: &Person, to: &Person, service: &str) -> TubeId {
    let nowhere = Family::Abstract.place().address;
    let offer = Offer::new(to.jid.clone(), service, nowhere);
    from.tubes.offer(offer).await.unwrap()
}

/// The next tube that is accepted.
pub(super) async fn accepted(heard: &mut Heard<ClientEvent>) -> StreamTube {
    heard
        .event(|event| match event {
            ClientEvent::TubeAccepted { tube, .. } => Some(tube.clone()),
            _ => None,
        })
        .await
}

/// The next tube that is no more, and why.
pub(super) async fn closed(heard: &mut Heard<ClientEvent>) -> (TubeId, Option<FailureKind>) {
    heard
        .event(|event| match event {
            ClientEvent::TubeClosed { tube, error } => {
                Some((tube.id, error.as_ref().map(|why| why.kind)))
            }
            _ => None,
        })
        .await
}
