//! What is known of contacts, and of the own account's other resources.

use xmpp_parsers::jid::BareJid;

use super::*;
use crate::contacts::Sight;

impl Bench {
    fn contact(&self, jid: &str) -> crate::Contact {
        self.router.contact(&jid.parse().unwrap())
    }

    fn own(&self) -> BareJid {
        "alice@example.org".parse().unwrap()
    }
}

#[test]
fn says_who_is_online_before_and_after_it_is_known_what_they_can_do() {
    let mut bench = Bench::with_fernand();
    let question = bench.fernand_online();
    let contact = bench.contact("fernand@example.org");
    assert_eq!(contact.sight, Sight::Visible);
    assert_eq!(contact.resources.len(), 1);
    assert_eq!(contact.resources[0].abilities, None);

    let id = question.attr("id").unwrap();
    bench.receive(&format!(
        "<iq type='result' id='{id}' from='fernand@example.org/laptop'>\
         <query xmlns='http://jabber.org/protocol/disco#info'>\
         <identity category='client' type='pc'/>\
         <feature var='http://jabber.org/protocol/disco#info'/>\
         <feature var='http://jabber.org/protocol/ibb'/></query></iq>"
    ));
    let contact = bench.contact("fernand@example.org");
    let abilities = contact.resources[0].abilities.as_ref().unwrap();
    assert!(!abilities.tubes);
    assert_eq!(abilities.transports.len(), 1);
}

#[test]
fn a_contact_that_left_has_no_resources() {
    let mut bench = Bench::with_fernand();
    bench.fernand_online();
    bench.receive("<presence type='unavailable' from='fernand@example.org/laptop'/>");
    assert_eq!(bench.contact("fernand@example.org").resources, []);
}

#[test]
fn the_presence_of_who_granted_none_is_hidden() {
    let bench = Bench::new("<item jid='fernand@example.org' subscription='from'/>");
    assert_eq!(bench.contact("fernand@example.org").sight, Sight::Hidden);
    assert_eq!(bench.contact("stranger@example.org").sight, Sight::Hidden);
}

#[test]
fn own_resources_are_followed_from_consent_on_also_those_that_were_there_before() {
    let mut bench = Bench::new("");
    bench.receive("<presence from='alice@example.org/other'/>");
    assert!(bench.sent().is_empty());
    assert_eq!(bench.contact("alice@example.org").resources, []);

    let own = bench.own();
    bench.router.handle_consent(own, Subscribe::Yes, bench.now);
    let asked = bench.sent();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].attr("to"), Some("alice@example.org/other"));
    let contact = bench.contact("alice@example.org");
    assert_eq!(contact.sight, Sight::Visible);
    assert_eq!(contact.resources.len(), 1);
}

#[test]
fn an_own_resource_that_left_before_consent_is_forgotten() {
    let mut bench = Bench::new("");
    bench.receive("<presence from='alice@example.org/other'/>");
    bench.receive("<presence type='unavailable' from='alice@example.org/other'/>");
    let own = bench.own();
    bench.router.handle_consent(own, Subscribe::No, bench.now);
    assert!(bench.sent().is_empty());
    assert_eq!(bench.contact("alice@example.org").resources, []);
}
