//! Which contacts may use which service.

use tubes::{Audience, FailureKind, Parameters, Rules, ServeError, ServerEvent, StreamTubeServer};
use tubes_server::Server;

use super::{Heard, SERVICE, accept, added, monitoring_server, offer, offered};
use crate::stage::{Family, Service, echo, exchange, pair, patiently};

crate::on_each_server!(
    whoever_a_rule_does_not_name_is_offered_nothing,
    new_rules_close_the_tubes_that_are_against_them,
);

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
