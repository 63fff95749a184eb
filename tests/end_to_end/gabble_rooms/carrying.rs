//! Between occupants there are no proxies, for a Gabble: it tells none, and skips all.

use tubes::Socks5;
use tubes::socks5::Verdict;
use tubes_server::Server;

use super::another;
use crate::stage::{
    BOTH, Host, Joining, Listener, Manner, Multiple, Offering, Relay, TUBE, in_room, opened,
    until_known,
};

crate::on_each_server!(
    it_is_told_of_no_proxy,
    what_it_tells_of_others_is_not_dialled,
);

async fn it_is_told_of_no_proxy(server: &Server) {
    let relay = Relay::on(server).await;
    let socks5 = Socks5::new().with_proxy_at(relay.place.clone());
    let mut our = in_room(Offering::with(server, socks5.clone())).await;
    let account = our.alice.online().await;
    // There are some, and they were tried out.
    let is_tried = |verdict: &Verdict| *verdict != Verdict::Untried;
    until_known(&socks5, &account, is_tried).await;
    let program = our.program().await;
    let negotiation = our.gabble.is_initiated(TUBE, Multiple::Yes, &BOTH).await;
    let told = our.gabble.is_told_hosts(&negotiation).await;
    assert!(!told.hosts.is_empty());
    told.finds_none();
    our.is_fallen_back_to(&negotiation, program).await;
}

async fn what_it_tells_of_others_is_not_dialled(server: &Server) {
    let mut our = in_room(Joining::on(server)).await;
    let (alice, tube) = (our.at_alice.clone(), our.tube);
    let other = another(server, &alice.to_bare(), "other").await;
    let initiating = our.gabble.initiates(&alice, tube, Multiple::Yes, &BOTH);
    let (negotiation, _) = initiating.await;
    let relay = Relay::on(server).await;
    let listener = Listener::open(negotiation.hash(), Manner::Serves).await;
    let mut hosts = vec![Host::of(&relay.place)];
    // Its account's, somebody else's, the room's: all but its own name there.
    let outside = our.gabble.jid.with_resource_str("outside").unwrap();
    for jid in [&outside, &other.full] {
        hosts.extend(listener.hosts(jid));
    }
    hosts.extend(listener.hosts(&alice));
    let answer = our.gabble.tells_hosts(&negotiation, &hosts).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(listener.accepted(), 0);
    our.falls_back(&negotiation).await;
    assert_eq!(opened(&mut our.alice).await.0, "ibb");
}
