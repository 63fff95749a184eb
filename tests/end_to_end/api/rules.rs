//! Which contacts may use which service.

use std::time::Duration;

use tokio::time::sleep;
use tubes::{
    Audience, ClientEvent, FailureKind, Parameters, Rules, ServeError, ServerEvent,
    StreamTubeClient, StreamTubeServer,
};
use tubes_server::Server;
use tubes_transport::{Patience, Question};

use super::{Heard, SERVICE, accept, added, joining, monitoring_server, offer, offered, password};
use crate::stage::{Family, Person, Service, echo, exchange, pair, patiently};

crate::on_each_server!(
    without_rules_a_tube_is_for_whom_it_is_offered_to_and_nobody_else_hears_of_it,
    whoever_a_rule_does_not_name_is_offered_nothing,
    new_rules_close_the_tubes_that_are_against_them,
    a_service_is_offered_to_who_is_in_a_group_of_the_roster,
    a_service_is_taken_from_who_is_in_a_group_of_the_roster,
);

async fn without_rules_a_tube_is_for_whom_it_is_offered_to_and_nobody_else_hears_of_it(
    server: &Server,
) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let (alice, mut fernand) = pair(server).await;
    let mut carol = Person::on(server, "carol").await;
    alice.tubes.befriend(&carol.jid).await;
    carol.tubes.befriend(&alice.jid).await;
    let tubes = monitoring_server();
    let exported = tubes.export(&service.address, password("for fernand"));
    exported.unwrap();
    added(&tubes, &alice).await;
    offer(&tubes, &alice, &fernand).await;
    let (joined, _) = offered(&mut fernand).await;
    exchange(&accept(&fernand, joined).await).await.unwrap();
    // The first that Carol hears of is what is offered to her, and that came later.
    let exported = tubes.export(&service.address, password("for carol"));
    exported.unwrap();
    offer(&tubes, &alice, &carol).await;
    assert_eq!(offered(&mut carol).await.1, password("for carol"));
    assert_eq!(carol.tubes.state().tubes.len(), 1);
    carol.leave().await;
    fernand.leave().await;
    alice.leave().await;
}

async fn whoever_a_rule_does_not_name_is_offered_nothing(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let (alice, mut fernand) = pair(server).await;
    let tubes = StreamTubeServer::builder()
        .services_for_contacts([SERVICE, "x-open"])
        .services_for_rooms([SERVICE])
        .with_rules(Rules::new().allow(SERVICE, [fernand.jid.clone()]))
        .build();
    tubes
        .export(&service.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    let heard = Heard::by(tubes.watch().1);
    for audience in [
        Audience::Contact(alice.jid.clone()),
        Audience::Room(fernand.jid.clone()),
    ] {
        let refused = tubes.offer(&alice.jid, audience.clone(), SERVICE).await;
        assert!(
            matches!(refused, Err(ServeError::Forbidden { .. })),
            "{refused:?}"
        );
        let refused = tubes.offer_single(&alice.jid, audience, SERVICE).await;
        assert!(
            matches!(refused, Err(ServeError::Forbidden { .. })),
            "{refused:?}"
        );
    }
    offer(&tubes, &alice, &fernand).await;
    let (joined, _) = offered(&mut fernand).await;
    exchange(&accept(&fernand, joined).await).await.unwrap();
    let other = tubes.offer(&alice.jid, Audience::Contact(alice.jid.clone()), "x-open");
    patiently("what has no rule is offered", other)
        .await
        .unwrap();
    patiently("the server is closed", tubes.close()).await;
    drop(tubes);
    let requested = |event: &&ServerEvent| matches!(event, ServerEvent::TubeRequested { .. });
    assert_eq!(heard.rest().await.iter().filter(requested).count(), 2);
    fernand.leave().await;
    alice.leave().await;
}

async fn new_rules_close_the_tubes_that_are_against_them(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let (alice, mut fernand) = pair(server).await;
    let tubes = monitoring_server();
    tubes
        .export(&service.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    offer(&tubes, &alice, &fernand).await;
    let own = offer(&tubes, &alice, &alice).await;
    let (joined, _) = offered(&mut fernand).await;
    exchange(&accept(&fernand, joined).await).await.unwrap();
    let rules = Rules::new().allow(SERVICE, [alice.jid.clone()]);
    patiently("the rules are set", tubes.set_rules(rules)).await;
    let why = fernand.tube_closed().await.unwrap();
    assert_eq!(why.kind, FailureKind::Closed);
    assert_eq!(tubes.tubes(), [own]);
    let again = tubes
        .offer(&alice.jid, Audience::Contact(fernand.jid.clone()), SERVICE)
        .await;
    assert!(
        matches!(again, Err(ServeError::Forbidden { .. })),
        "{again:?}"
    );
    fernand.leave().await;
    alice.leave().await;
}

async fn a_service_is_offered_to_who_is_in_a_group_of_the_roster(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let tubes = StreamTubeServer::builder()
        .services_for_contacts([SERVICE])
        .with_rules(Rules::new().allow_group(SERVICE, "friends"))
        .build();
    let somewhere = Family::Unix.place();
    tubes
        .export(&somewhere.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    let to = || Audience::Contact(fernand.jid.clone());
    let refused = tubes.offer(&alice.jid, to(), SERVICE).await;
    assert!(
        matches!(refused, Err(ServeError::Forbidden { .. })),
        "{refused:?}"
    );
    befriends(&alice, &fernand).await;
    let offering = tubes.offer(&alice.jid, to(), SERVICE);
    patiently("it is offered", offering).await.unwrap();
    offered(&mut fernand).await;
    fernand.leave().await;
    alice.leave().await;
}

async fn a_service_is_taken_from_who_is_in_a_group_of_the_roster(server: &Server) {
    let (alice, fernand) = pair(server).await;
    befriends(&fernand, &alice).await;
    let client = StreamTubeClient::builder()
        .services_for_contacts([SERVICE, "x-other"])
        .with_rules(
            Rules::new()
                .allow_group(SERVICE, "friends")
                .allow_group("x-other", "colleagues"),
        )
        .build();
    joining::added(&client, &fernand).await;
    let mut heard = Heard::by(client.watch().1);
    joining::offer(&alice, &fernand, "x-other").await;
    let tube = joining::offer(&alice, &fernand, SERVICE).await;
    let taken = heard
        .event(|event| match event {
            ClientEvent::TubeOffered { invitation } => Some(invitation.tube.clone()),
            _ => None,
        })
        .await;
    assert_eq!(taken.service, SERVICE);
    assert_eq!(client.tubes().len(), 1);
    let _ = tube;
    fernand.leave().await;
    alice.leave().await;
}

/// Puts a contact into the group of friends, and waits until that is known.
async fn befriends(person: &Person, contact: &Person) {
    let put = format!(
        "<query xmlns='jabber:iq:roster'><item jid='{}'><group>friends</group></item></query>",
        contact.jid
    );
    let put = put.parse().unwrap();
    let asked = person
        .tubes
        .stanzas()
        .ask(None, Question::Set, put, Patience::default());
    let answer = patiently("it is asked", async { asked.await?.await });
    answer.await.unwrap();
    let knowing = async {
        while person
            .tubes
            .contact(&contact.jid)
            .await
            .unwrap()
            .groups
            .is_empty()
        {
            sleep(Duration::from_millis(10)).await;
        }
    };
    patiently("the group is known", knowing).await;
}
