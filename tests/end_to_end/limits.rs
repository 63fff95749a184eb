//! How much an account takes on, and what is told when that is not enough.

use tokio::io::AsyncReadExt;
use tubes::{
    Access, Account, Address, BareJid, Direction, Encryption, Event, FailureKind, Limit, Limits,
    Offer, TubeId, Tubes,
};
use tubes_protocol::ns;
use tubes_server::{Server, ServerKind};
use tubes_transport::AskError;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::stage::{
    Family, Gabble, Outsider, Person, Service, Serving, Stream, connect, credentials, echo,
    exchange, on, patiently, transport,
};

crate::on_each_server!(
    programs_beyond_those_of_a_tube_wait_their_turn,
    a_contact_has_so_many_connections_over_all_tubes,
    accounts_that_share_their_limits_count_together,
    tubes_that_nobody_uses_take_no_places_of_others,
    a_contact_that_offers_too_much_is_not_heard,
    a_contact_has_so_many_negotiations_at_a_time,
);

async fn programs_beyond_those_of_a_tube_wait_their_turn(server: &Server) {
    let mut scene = Scene::set(
        server,
        Limits::new(),
        Limits::new().with_connections_per_tube(1),
    )
    .await;
    let (address, _) = scene.share("x-one").await;
    let first = held(&address).await;
    let second = tokio::spawn(async move { exchange(&address).await });
    assert_eq!(
        reached(&mut scene.fernand).await,
        (Limit::ConnectionsPerTube, None)
    );
    assert!(!second.is_finished());
    drop(first);
    patiently("it has its turn", second).await.unwrap().unwrap();
    scene.leave().await;
}

async fn a_contact_has_so_many_connections_over_all_tubes(server: &Server) {
    let of_alice = Limits::new().with_connections_per_contact(1);
    let mut scene = Scene::set(server, of_alice, Limits::new()).await;
    let (one, _) = scene.share("x-one").await;
    let (other, _) = scene.share("x-other").await;
    let first = held(&one).await;
    assert!(patiently("it is refused", exchange(&other)).await.is_err());
    let (.., why) = scene.fernand.connection_closed().await;
    assert_eq!(why.unwrap().kind, FailureKind::Refused);
    let who = Some(scene.fernand.jid.clone().into());
    assert_eq!(
        reached(&mut scene.alice).await,
        (Limit::ConnectionsPerContact, who)
    );
    drop(first);
    scene.alice.connection_closed().await;
    patiently("there is room again", exchange(&other))
        .await
        .unwrap();
    scene.leave().await;
}

async fn accounts_that_share_their_limits_count_together(server: &Server) {
    let limits = Limits::new().with_connections(1);
    let mut scene = Scene::set(server, limits.clone(), Limits::new()).await;
    let mut other = Scene::set(server, limits, Limits::new()).await;
    let (one, _) = scene.share("x-one").await;
    let (two, _) = other.share("x-two").await;
    let first = held(&one).await;
    assert!(patiently("it is refused", exchange(&two)).await.is_err());
    assert_eq!(reached(&mut other.alice).await.0, Limit::Connections);
    drop(first);
    scene.alice.connection_closed().await;
    patiently("there is room again", exchange(&two))
        .await
        .unwrap();
    other.leave().await;
    scene.leave().await;
}

async fn tubes_that_nobody_uses_take_no_places_of_others(server: &Server) {
    let of_fernand = Limits::new().with_connections(1);
    let mut scene = Scene::set(server, Limits::new(), of_fernand).await;
    let (one, _) = scene.share("x-one").await;
    let (other, _) = scene.share("x-other").await;
    // Also while another one has listened for longer.
    for address in [&other, &one, &other, &other] {
        patiently("there is a place", exchange(address))
            .await
            .unwrap();
        scene.fernand.connection_closed().await;
    }
    scene.leave().await;
}

async fn a_contact_that_offers_too_much_is_not_heard(server: &Server) {
    let of_fernand = Limits::new().with_invitations_per_contact(1);
    let mut scene = Scene::set(server, Limits::new(), of_fernand).await;
    scene.share("x-one").await;
    scene.offer("x-two").await;
    let who = Some(scene.alice.jid.clone().into());
    assert_eq!(
        reached(&mut scene.fernand).await,
        (Limit::InvitationsPerContact, who)
    );
    assert_eq!(scene.fernand.tubes.state().tubes.len(), 1);
    scene.leave().await;
}

async fn a_contact_has_so_many_negotiations_at_a_time(server: &Server) {
    let limits = Limits::new().with_negotiations_per_contact(1);
    let mut alice = person(server, "alice", limits).await;
    let at_alice = alice.online().await;
    let mut fernand = Gabble::on(server, "fernand").await;
    alice.tubes.befriend(&fernand.jid).await;
    fernand.befriend(&alice.jid).await;
    let echo = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let offer = Offer::new(fernand.jid.clone(), "x-one", echo.address.clone());
    alice.tubes.offer(offer).await.unwrap();
    let offer = fernand.told("tube").await;
    let number = offer.attr("id").unwrap();
    // Answered, and not opened: it is still being negotiated.
    let first = fernand.ask(&at_alice, &initiation("s1", number)).await;
    patiently("the first is answered", first).await.unwrap();
    let second = fernand.ask(&at_alice, &initiation("s2", number)).await;
    let Err(AskError::Refused(why)) = patiently("the second is answered", second).await else {
        panic!("it is taken");
    };
    assert_eq!(why.defined_condition, DefinedCondition::ResourceConstraint);
    let who = Some(fernand.jid.clone().into());
    assert_eq!(reached(&mut alice).await, (Limit::Negotiations, who));
    alice.leave().await;
}

/// Asks for a connection as a Gabble does, in-band.
pub(crate) fn initiation(sid: &str, number: &str) -> String {
    format!(
        "<si xmlns='{si}' id='{sid}' profile='{tubes}'><feature xmlns='{feature}'>\
         <x xmlns='jabber:x:data' type='form'><field var='stream-method' type='list-single'>\
         <option><value>{ibb}</value></option></field></x></feature>\
         <stream xmlns='{tubes}' tube='{number}'/></si>",
        si = ns::SI,
        tubes = ns::TUBES,
        feature = ns::FEATURE_NEG,
        ibb = ns::IBB,
    )
}

/// Alice, who has an echo, and Fernand.
struct Scene {
    alice: Person,
    fernand: Person,
    echo: Serving,
}

/// Nobody sets this limit, and it is told all the same.
#[tokio::test(flavor = "multi_thread")]
async fn programs_of_a_contact_beyond_those_that_are_followed_are_told_of() {
    on(ServerKind::Embedded, |server| async move {
        let mut alice = Person::on(server, "alice").await;
        let fernand = server.fresh_account("fernand").await.unwrap();
        alice.tubes.befriend(&fernand.jid).await;
        let mut programs = Vec::new();
        for _ in 0..33 {
            let program = Outsider::logged_in(server, &fernand, &[ns::TUBES]).await;
            program.befriend(&alice.jid).await;
            programs.push(program);
        }
        let who = Some(fernand.jid.clone().into());
        assert_eq!(reached(&mut alice).await, (Limit::Resources, who));
        alice.leave().await;
    })
    .await;
}

impl Scene {
    async fn set(server: &Server, of_alice: Limits, of_fernand: Limits) -> Self {
        let alice = person(server, "alice", of_alice).await;
        let fernand = person(server, "fernand", of_fernand).await;
        alice.tubes.befriend(&fernand.jid).await;
        fernand.tubes.befriend(&alice.jid).await;
        let echo = Service::listen(Family::Tcp).await.unwrap().serve(echo);
        Self {
            alice,
            fernand,
            echo,
        }
    }

    async fn offer(&self, service: &str) {
        let to: BareJid = self.fernand.jid.clone();
        let offer = Offer::new(to, service, self.echo.address.clone());
        self.alice.tubes.offer(offer).await.unwrap();
    }

    /// Where Fernand's programs connect.
    async fn share(&mut self, wanted: &str) -> (Address, TubeId) {
        self.offer(wanted).await;
        let tube = self
            .fernand
            .event(|event| match event {
                Event::TubeOffered {
                    tube,
                    service,
                    direction: Direction::In,
                    ..
                } if service == wanted => Some(*tube),
                _ => None,
            })
            .await;
        let listen = Family::Tcp.place().address;
        let accepting = self.fernand.tubes.accept(tube, listen, Access::Localhost);
        let address = patiently("the tube is accepted", accepting).await.unwrap();
        (address, tube)
    }

    async fn leave(self) {
        self.fernand.leave().await;
        self.alice.leave().await;
    }
}

/// Deals also with who does not encrypt.
pub(crate) async fn person(server: &Server, name: &str, limits: Limits) -> Person {
    let account = server.fresh_account(name).await.unwrap();
    let credentials: Account = credentials(server, &account);
    let builder = Tubes::builder(credentials)
        .transports([transport()])
        .encryption(Encryption::Preferred)
        .limits(limits);
    Person::built(account.jid, builder).await.unwrap()
}

/// A program that holds its connection.
pub(crate) async fn held(address: &Address) -> Stream {
    use tokio::io::AsyncWriteExt;

    let mut program = patiently("it is let in", connect(address)).await.unwrap();
    program.write_all(b"x").await.unwrap();
    let mut heard = [0];
    patiently("the echo answers", program.read_exact(&mut heard))
        .await
        .unwrap();
    program
}

pub(crate) async fn reached(person: &mut Person) -> (Limit, Option<tubes::Jid>) {
    person
        .event(|event| match event {
            Event::LimitReached { limit, peer } => Some((*limit, peer.clone())),
            _ => None,
        })
        .await
}
