//! What a server offers to whom, and until when.

use std::slice;

use tubes::{
    AddError, Audience, FailureKind, OfferError, Parameters, ServeError, ServerEvent,
    StreamTubeServer,
};
use tubes_server::Server;

use super::{Heard, SERVICE, accept, added, monitoring_server, offer, offered};
use crate::stage::{Family, Person, Service, credentials, echo, exchange, pair, patiently};

crate::on_server!(taken_over, Prosody: an_account_that_is_offline_for_good_takes_its_tubes_along);

crate::on_each_server!(
    a_tube_is_requested_then_offered_then_opened_and_at_last_closed,
    a_server_without_services_offers_single_tubes_that_are_handed_to_it,
    a_service_that_the_server_is_not_for_is_not_offered,
    nothing_is_offered_before_something_is_exported,
    one_server_offers_from_several_accounts,
    an_account_that_is_removed_offers_no_more_and_its_tubes_are_closed,
    an_account_that_leaves_takes_its_tubes_along,
    an_account_is_added_once,
    a_server_that_is_dropped_closes_its_tubes_and_leaves_the_account_alone,
    a_server_that_is_closed_has_said_so_of_each_tube_and_offers_no_more,
    what_the_account_refuses_is_told_as_it_is,
);

async fn a_tube_is_requested_then_offered_then_opened_and_at_last_closed(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let (alice, mut fernand) = pair(server).await;
    let tubes = monitoring_server();
    tubes
        .export(&service.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    let mut heard = Heard::by(tubes.watch().1);
    let tube = offer(&tubes, &alice, &fernand).await;
    assert_eq!(tubes.tubes(), slice::from_ref(&tube));
    assert_eq!(tube.audience, Audience::Contact(fernand.jid.clone()));
    let (joined, _) = offered(&mut fernand).await;
    let address = accept(&fernand, joined).await;
    exchange(&address).await.unwrap();
    patiently("the tube is gone", fernand.tubes.close(joined)).await;

    let ServerEvent::TubeRequested { request } = heard.next().await else {
        panic!("not requested first");
    };
    assert_eq!((&request.account, &*request.service), (&alice.jid, SERVICE));
    let ServerEvent::TubeOffered {
        request: id,
        tube: of,
    } = heard.next().await
    else {
        panic!("not offered then");
    };
    assert_eq!((id, of), (request.id, tube.clone()));
    let ServerEvent::TubeOpened { tube: of } = heard.next().await else {
        panic!("not opened then");
    };
    assert_eq!(of.id, tube.id);
    let (of, why) = closed(&mut heard).await;
    assert_eq!((of, why), (tube.id, Some(FailureKind::Closed)));
    assert!(tubes.tubes().is_empty());
    fernand.leave().await;
    alice.leave().await;
}

async fn a_server_without_services_offers_single_tubes_that_are_handed_to_it(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let (alice, mut fernand) = pair(server).await;
    let tubes = StreamTubeServer::builder().build();
    tubes
        .export(&service.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    let audience = Audience::Contact(fernand.jid.clone());
    assert!(!tubes.handles(&audience, SERVICE));
    let offering = tubes.offer_single(&alice.jid, audience, SERVICE);
    patiently("it is offered", offering).await.unwrap();
    let (joined, _) = offered(&mut fernand).await;
    exchange(&accept(&fernand, joined).await).await.unwrap();
    fernand.leave().await;
    alice.leave().await;
}

async fn a_service_that_the_server_is_not_for_is_not_offered(server: &Server) {
    let alice = Person::on(server, "alice").await;
    let tubes = StreamTubeServer::builder()
        .services_for_contacts([SERVICE])
        .services_for_rooms(["x-party"])
        .build();
    let somewhere = Family::Unix.place();
    tubes
        .export(&somewhere.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    let mut heard = Heard::by(tubes.watch().1);
    let jid = alice.jid.clone();
    let (contact, room) = (Audience::Contact(jid.clone()), Audience::Room(jid.clone()));
    for (audience, service) in [(&contact, "x-party"), (&room, SERVICE), (&room, "x-other")] {
        assert!(!tubes.handles(audience, service));
        let refused = tubes.offer(&jid, audience.clone(), service).await;
        let not_handled = matches!(refused, Err(ServeError::NotHandled { .. }));
        assert!(not_handled, "{refused:?}");
    }
    assert!(tubes.handles(&contact, SERVICE) && tubes.handles(&room, "x-party"));
    // Nobody was told of what was never requested.
    offer(&tubes, &alice, &alice).await;
    assert!(matches!(
        heard.next().await,
        ServerEvent::TubeRequested { request } if request.service == SERVICE
    ));
    alice.leave().await;
}

async fn nothing_is_offered_before_something_is_exported(server: &Server) {
    let alice = Person::on(server, "alice").await;
    let tubes = monitoring_server();
    added(&tubes, &alice).await;
    assert_eq!(tubes.exported(), None);
    let audience = Audience::Contact(alice.jid.clone());
    let refused = tubes.offer(&alice.jid, audience, SERVICE).await;
    assert!(
        matches!(refused, Err(ServeError::NothingExported)),
        "{refused:?}"
    );
    alice.leave().await;
}

async fn one_server_offers_from_several_accounts(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let (alice, fernand) = pair(server).await;
    let mut carol = Person::on(server, "carol").await;
    for (one, other) in [(&alice, &carol), (&fernand, &carol)] {
        one.tubes.befriend(&other.jid).await;
        other.tubes.befriend(&one.jid).await;
    }
    let tubes = monitoring_server();
    tubes
        .export(&service.address, Parameters::default())
        .unwrap();
    for person in [&alice, &fernand] {
        assert_eq!(added(&tubes, person).await, person.jid);
    }
    let mut accounts = [alice.jid.clone(), fernand.jid.clone()];
    accounts.sort();
    assert_eq!(tubes.accounts(), accounts);
    let mut heard = Heard::by(tubes.watch().1);
    for person in [&alice, &fernand] {
        let tube = offer(&tubes, person, &carol).await;
        let (joined, _) = offered(&mut carol).await;
        exchange(&accept(&carol, joined).await).await.unwrap();
        let connection = super::opened(&mut heard).await;
        assert_eq!(
            (connection.tube.id, connection.tube.account),
            (tube.id, person.jid.clone())
        );
        assert_eq!(connection.contact.to_bare(), carol.jid);
    }
    carol.leave().await;
    fernand.leave().await;
    alice.leave().await;
}

async fn an_account_that_is_removed_offers_no_more_and_its_tubes_are_closed(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let (alice, mut fernand) = pair(server).await;
    let tubes = monitoring_server();
    tubes
        .export(&service.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    let mut heard = Heard::by(tubes.watch().1);
    let tube = offer(&tubes, &alice, &fernand).await;
    offered(&mut fernand).await;
    let removing = tubes.remove(&alice.jid);
    let handle = patiently("it is removed", removing).await.unwrap();
    assert!(handle.login().await.is_ok(), "it stays logged in");
    assert_eq!(closed(&mut heard).await, (tube.id, None));
    assert_eq!(
        fernand.tube_closed().await.unwrap().kind,
        FailureKind::Closed
    );
    let audience = Audience::Contact(fernand.jid.clone());
    let refused = tubes.offer(&alice.jid, audience, SERVICE).await;
    assert!(
        matches!(refused, Err(ServeError::UnknownAccount(_))),
        "{refused:?}"
    );
    assert!(tubes.remove(&alice.jid).await.is_none());
    // It can come back.
    added(&tubes, &alice).await;
    offer(&tubes, &alice, &fernand).await;
    offered(&mut fernand).await;
    fernand.leave().await;
    alice.leave().await;
}

async fn an_account_that_leaves_takes_its_tubes_along(server: &Server) {
    let alice = Person::on(server, "alice").await;
    let tubes = monitoring_server();
    let somewhere = Family::Unix.place();
    tubes
        .export(&somewhere.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    let mut heard = Heard::by(tubes.watch().1);
    let tube = offer(&tubes, &alice, &alice).await;
    let jid = alice.jid.clone();
    patiently("the account is left", alice.tubes.clone().leave()).await;
    assert_eq!(closed(&mut heard).await.0, tube.id);
    assert!(tubes.tubes().is_empty());
    let audience = Audience::Contact(jid.clone());
    let refused = tubes.offer(&jid, audience, SERVICE).await;
    let is_gone = match &refused {
        Err(ServeError::UnknownAccount(_)) => true,
        Err(ServeError::Offer(why)) => matches!(**why, OfferError::Closed),
        _ => false,
    };
    assert!(is_gone, "{refused:?}");
}

async fn an_account_that_is_offline_for_good_takes_its_tubes_along(server: &Server) {
    let account = server.fresh_account("alice").await.unwrap();
    let laptop = xmpp_parsers::jid::ResourcePart::new("laptop").unwrap();
    let credentials = credentials(server, &account).with_resource(&laptop);
    let alice = Person::with(credentials.clone()).await.unwrap();
    let tubes = monitoring_server();
    let somewhere = Family::Unix.place();
    tubes
        .export(&somewhere.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    let mut heard = Heard::by(tubes.watch().1);
    let tube = offer(&tubes, &alice, &alice).await;
    // Another program takes its address over.
    let second = Person::with(credentials).await.unwrap();
    assert_eq!(closed(&mut heard).await, (tube.id, Some(FailureKind::Gone)));
    let forgotten = async {
        while tubes.add(&second.tubes).await == Err(AddError::Already) {
            tokio::task::yield_now().await;
        }
    };
    patiently("the account is forgotten", forgotten).await;
    assert_eq!(tubes.add(&alice.tubes).await, Err(AddError::Gone));
    assert_eq!(tubes.accounts(), slice::from_ref(&second.jid));
    offer(&tubes, &second, &second).await;
    second.leave().await;
}

async fn an_account_is_added_once(server: &Server) {
    let alice = Person::on(server, "alice").await;
    let tubes = monitoring_server();
    added(&tubes, &alice).await;
    assert_eq!(tubes.add(&alice.tubes).await, Err(AddError::Already));
    tubes.close().await;
    assert_eq!(tubes.add(&alice.tubes).await, Err(AddError::Closed));
    alice.leave().await;
}

async fn a_server_that_is_dropped_closes_its_tubes_and_leaves_the_account_alone(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let (mut alice, mut fernand) = pair(server).await;
    let tubes = monitoring_server();
    tubes
        .export(&service.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    let heard = Heard::by(tubes.watch().1);
    offer(&tubes, &alice, &fernand).await;
    offered(&mut fernand).await;
    drop(tubes.clone());
    assert_eq!(tubes.tubes().len(), 1);
    drop(tubes);
    assert_eq!(alice.tube_closed().await, None);
    assert_eq!(
        fernand.tube_closed().await.unwrap().kind,
        FailureKind::Closed
    );
    let last = heard.rest().await.pop().unwrap();
    assert!(
        matches!(last, ServerEvent::TubeClosed { error: None, .. }),
        "{last:?}"
    );
    alice.tubes.login().await.unwrap();
    fernand.leave().await;
    alice.leave().await;
}

async fn a_server_that_is_closed_has_said_so_of_each_tube_and_offers_no_more(server: &Server) {
    let alice = Person::on(server, "alice").await;
    let tubes = monitoring_server();
    let somewhere = Family::Unix.place();
    tubes
        .export(&somewhere.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    for _ in 0..3 {
        offer(&tubes, &alice, &alice).await;
    }
    let heard = Heard::by(tubes.watch().1);
    patiently("the server is closed", tubes.close()).await;
    assert!(tubes.tubes().is_empty() && tubes.accounts().is_empty());
    let audience = Audience::Contact(alice.jid.clone());
    let refused = tubes.offer(&alice.jid, audience, SERVICE).await;
    assert!(matches!(refused, Err(ServeError::Closed)), "{refused:?}");
    drop(tubes);
    let rest = heard.rest().await;
    let closed = |event: &&ServerEvent| matches!(event, ServerEvent::TubeClosed { .. });
    assert_eq!(rest.iter().filter(closed).count(), 3, "{rest:#?}");
    alice.leave().await;
}

async fn what_the_account_refuses_is_told_as_it_is(server: &Server) {
    let alice = Person::on(server, "alice").await;
    let tubes = StreamTubeServer::builder().build();
    let somewhere = Family::Unix.place();
    tubes
        .export(&somewhere.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    let mut heard = Heard::by(tubes.watch().1);
    let audience = Audience::Contact(alice.jid.clone());
    let refused = tubes.offer_single(&alice.jid, audience, "").await;
    let Err(ServeError::Offer(why)) = refused else {
        panic!("{refused:?}");
    };
    assert!(matches!(*why, OfferError::Invalid(_)), "{why:?}");
    let refused = heard.event(|event| match event {
        ServerEvent::TubeRefused { error, .. } => Some(error.to_string()),
        _ => None,
    });
    assert_eq!(refused.await, why.to_string());
    alice.leave().await;
}

/// The next tube that is no more, and why.
async fn closed(heard: &mut Heard<ServerEvent>) -> (tubes::TubeId, Option<FailureKind>) {
    heard
        .event(|event| match event {
            ServerEvent::TubeClosed { tube, error } => {
                Some((tube.id, error.as_ref().map(|why| why.kind)))
            }
            _ => None,
        })
        .await
}
