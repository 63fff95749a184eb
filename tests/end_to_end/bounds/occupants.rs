//! People in a room.

use tubes::{BareJid, Encryption, FullJid, Limit, Tls, Tubes};
use tubes_protocol::ns;
use tubes_server::{Server, ServerKind, Setup};
use tubes_testkit::{Heading, Link};
use xmpp_parsers::minidom::Element;

use super::Scene;
use crate::stage::{
    Gabble, Person, credentials, enter, fresh_room, lead, on, stream_tube, transport,
};

/// The service says that they are there: nobody has as many programs.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_room_with_too_many_people_some_are_not_seen_until_others_have_left() {
    on(ServerKind::Embedded, |_| async move {
        let setup = Setup::new().without_required_encryption();
        let server = Server::start(ServerKind::Embedded, setup).await.unwrap();
        let room = fresh_room(&server);
        let (alice, link) = in_clear(&server).await;
        let own = enter(&alice, &room, "alice").await;
        let mut scene = Scene::of(&server, alice).await;
        let mut carol = Gabble::on(&server, "carol").await;
        carol.enters(&room, "carol").await;
        // With Carol they are as many as are seen.
        let crowd = (1..PEOPLE).map(|number| (format!("guest-{number}"), ""));
        let late = room.with_resource_str("late").unwrap();
        let tube = stream_tube(7, "x-late");
        let offering = format!("<tubes xmlns='{}'>{tube}</tubes>", ns::TUBES);
        let crowd = crowd.chain([("late".to_owned(), &*offering)]);
        let crowd = crowd.map(|(name, shown)| presence(&room, &name, &own, "", shown));
        link.interject(Heading::ToClient, crowd);
        // The room says so to everybody; to Alice it says more.
        carol.lists([]).await;
        scene.exceeded(Limit::Occupants, room.clone()).await;
        assert_eq!(scene.alice().tubes.state().tubes.len(), 1);

        let left = presence(&room, "guest-1", &own, "type='unavailable'", "");
        let seen = presence(&room, "late", &own, "", &offering);
        link.interject(Heading::ToClient, [left, seen]);
        carol.lists([]).await;
        scene.alice().offered_by(&late).await;
        scene.works().await;
        scene.leave().await;
        server.stop().await;
    })
    .await;
}

/// Alice, over a link that sees what is said.
async fn in_clear(server: &Server) -> (Person, Link) {
    let account = server.fresh_account("alice").await.unwrap();
    let link = Link::to(server.address()).await.unwrap();
    let credentials = lead(&link, credentials(server, &account));
    let builder = Tubes::builder(credentials.with_tls(Tls::None).unwrap())
        .transports([transport()])
        .encryption(Encryption::Preferred);
    (Person::built(account.jid, builder).await.unwrap(), link)
}

/// What a room says of somebody there.
fn presence(room: &BareJid, name: &str, to: &FullJid, type_: &str, shown: &str) -> Element {
    let presence = format!(
        "<presence xmlns='jabber:client' from='{room}/{name}' to='{to}' {type_}>{shown}\
         <x xmlns='{}'><item affiliation='none' role='participant'/></x></presence>",
        ns::MUC_USER
    );
    presence.parse().unwrap()
}

/// People in a room who are seen, beside oneself.
const PEOPLE: usize = 4096;
