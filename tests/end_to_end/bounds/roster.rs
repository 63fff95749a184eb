//! The contact list: what the server adds to it, and how long it is at login.

use tubes::{BareJid, Encryption, Event, Limit, Tubes};
use tubes_protocol::tube::{Parameters, TubeNumber, TubeOffer};
use tubes_server::ServerKind;
use tubes_transport::{Patience, Question};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

use super::Scene;
use crate::limits::reached;
use crate::stage::{Outsider, Person, credentials, on, patiently};

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_list_that_grows_without_end_is_kept_as_far_as_there_is_room() {
    on(ServerKind::Embedded, |server| async move {
        let mut scene = Scene::set(server).await;
        let alice = scene.alice();
        let mut listed = 0;
        while alice.adds(&filler(listed)).await {
            listed += 1;
            assert!(listed < 1000, "no bound");
        }
        assert!(listed > 200, "{listed} contacts are no long list");
        scene.exceeded(Limit::Roster, filler(listed)).await;

        // Whoever is taken out of it makes room.
        let alice = scene.alice();
        alice.removes(&filler(0)).await;
        assert!(alice.adds(&filler(listed)).await);
        scene.leave().await;
    })
    .await;
}

/// Nobody can say who stands in the part that was not read; whom the application deals with is known all
/// the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_contact_list_that_is_too_long_at_login_is_told_of() {
    on(ServerKind::Embedded, |server| async move {
        let account = server.fresh_account("alice").await.unwrap();
        let builder = || {
            let credentials = credentials(server, &account);
            Tubes::builder(credentials).encryption(Encryption::Preferred)
        };
        let mut before = Person::built(account.jid.clone(), builder()).await.unwrap();
        for number in 0..TOO_LONG {
            assert!(before.adds(&filler(number)).await);
        }
        let fernand = Outsider::on(server, "fernand").await;
        before.tubes.befriend(&fernand.jid).await;
        fernand.befriend(&account.jid).await;
        before
            .event(|event| match event {
                Event::PeerOnline { peer } if peer.to_bare() == fernand.jid => Some(()),
                _ => None,
            })
            .await;
        before.leave().await;

        let mut alice = Person::built(account.jid.clone(), builder()).await.unwrap();
        let at_alice = alice.online().await;
        assert_eq!(reached(&mut alice).await, (Limit::Roster, None));
        // The list is in order, and Fernand at its end.
        assert_eq!(groups_of(&alice, &filler(0)).await, GROUPS);
        assert_eq!(groups_of(&alice, &filler(TOO_LONG - 1)).await, 0);
        fernand.tell(&at_alice, offer(1)).await;
        // The answer to what was said later tells that the offer was heard.
        fernand.ask(&at_alice, NOTHING).await.unwrap_err();
        assert!(alice.tubes.state().tubes.is_empty());

        alice.tubes.deal_with(&fernand.jid).await;
        fernand.tell(&at_alice, offer(2)).await;
        alice.offered().await;
        assert_eq!(alice.tubes.state().tubes.len(), 1);
        fernand.leave().await;
        alice.leave().await;
    })
    .await;
}

impl Person {
    /// Puts somebody into the account's contact list, in long groups. Whether there was room.
    async fn adds(&self, contact: &BareJid) -> bool {
        let groups = (0..GROUPS).map(|number| format!("<group>{number:0>LENGTH$}</group>"));
        let groups: String = groups.collect();
        self.changes(&format!("<item jid='{contact}'>{groups}</item>"))
            .await;
        // The server tells of the change before it says that it is made.
        groups_of(self, contact).await == GROUPS
    }

    async fn removes(&self, contact: &BareJid) {
        self.changes(&format!("<item jid='{contact}' subscription='remove'/>"))
            .await;
    }

    async fn changes(&self, item: &str) {
        let stanzas = self.tubes.stanzas();
        let query = format!("<query xmlns='{}'>{item}</query>", ns::ROSTER);
        let query = query.parse().unwrap();
        let change = stanzas.ask(None, Question::Set, query, Patience::default());
        let changed = patiently("the list is changed", async { change.await?.await });
        changed.await.unwrap();
    }
}

/// How many groups of a contact are known.
async fn groups_of(person: &Person, contact: &BareJid) -> usize {
    person.tubes.contact(contact).await.unwrap().groups.len()
}

/// Somebody who stands in the list before Fernand.
fn filler(number: usize) -> BareJid {
    format!("a-{number:0>4}@tubes.test").parse().unwrap()
}

fn offer(number: u32) -> Vec<Element> {
    let number = TubeNumber::from_random(number);
    let offer = TubeOffer::new(number, "x-test", Parameters::default());
    offer.unwrap().payloads()
}

/// What nobody has an answer to.
const NOTHING: &str = "<nothing xmlns='urn:example:nothing'/>";

/// Groups of a contact, and bytes in the name of each: as much as the server takes.
const GROUPS: usize = 32;
const LENGTH: usize = 1023;

/// Contacts with so many groups that are more than is read at login.
const TOO_LONG: usize = 20;
