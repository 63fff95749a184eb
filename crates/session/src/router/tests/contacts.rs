//! What is known of contacts, and of the own account's other resources.

use tubes_protocol::disco::service_feature;
use xmpp_parsers::caps::{self, Caps};
use xmpp_parsers::disco::DiscoInfoResult;
use xmpp_parsers::hashes;
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

/// Of what there was no more, and for whom.
fn exceeded(bench: &mut Bench) -> Vec<(Bound, String)> {
    let events = bench.events().into_iter();
    let exceeded = events.filter_map(|event| match event {
        SessionEvent::Exceeded { bound, who } => Some((bound, who?.to_string())),
        _ => None,
    });
    exceeded.collect()
}

#[test]
fn resources_beyond_those_that_are_followed_are_told_of() {
    let mut bench = Bench::with_fernand();
    for number in 0..32 {
        bench.receive(&format!("<presence from='fernand@example.org/{number}'/>"));
    }
    assert_eq!(exceeded(&mut bench), []);
    bench.receive("<presence from='fernand@example.org/further'/>");
    let fernand = "fernand@example.org".to_owned();
    assert_eq!(exceeded(&mut bench), [(Bound::Resources, fernand)]);
    assert_eq!(bench.contact("fernand@example.org").resources.len(), 32);
}

#[test]
fn a_roster_without_end_is_told_of_and_no_more_of_it_is_known() {
    let mut bench = Bench::with_fernand();
    let group = "g".repeat(100_000);
    let mut listed = 0;
    let (bound, whose) = loop {
        bench.receive(&format!(
            "<iq type='set' id='1'><query xmlns='jabber:iq:roster'>\
             <item jid='c{listed}@example.org' subscription='both'><group>{group}</group></item>\
             </query></iq>"
        ));
        match exceeded(&mut bench).pop() {
            Some(exceeded) => break exceeded,
            None => listed += 1,
        }
        assert!(listed < 1000, "no bound");
    };
    assert_eq!(bound, Bound::Roster);
    assert_eq!(whose, format!("c{listed}@example.org"));
    assert_eq!(bench.contact(&whose).sight, Sight::Hidden);
    assert_eq!(bench.contact("fernand@example.org").sight, Sight::Visible);
}

/// What was cut away says nothing of who stands there.
#[test]
fn a_roster_that_was_cut_is_told_of_and_its_last_contact_is_left_out() {
    let answers = CutAnswers::default();
    let mut bench = Bench::told_of(answers.clone());
    let id = bench.sent()[0].attr("id").unwrap().to_owned();
    answers.note(id.clone());
    bench.receive(&format!(
        "<iq type='result' id='{id}'><query xmlns='jabber:iq:roster'>\
         <item jid='fernand@example.org' subscription='both'/>\
         <item jid='last@example.org' subscription='both'><group>fam</group></item></query></iq>"
    ));
    let told = bench.events().into_iter().filter_map(|event| match event {
        SessionEvent::Exceeded { bound, who } => Some((bound, who)),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [(Bound::Roster, None)]);
    assert_eq!(bench.contact("fernand@example.org").sight, Sight::Visible);
    assert_eq!(bench.contact("last@example.org").sight, Sight::Hidden);
}

/// Each one true: it hashes to what was announced.
#[test]
fn capabilities_without_end_push_out_those_of_who_has_them_and_are_asked_for_again() {
    let mut bench = Bench::with_fernand();
    let disco = |number: usize| -> DiscoInfoResult {
        let services = (0..256).map(|service| {
            let name = format!("{number}-{service:0>200}");
            format!("<feature var='{}'/>", service_feature(&name))
        });
        let info = format!(
            "<query xmlns='http://jabber.org/protocol/disco#info'>\
             <identity category='client' type='pc'/>{}</query>",
            services.collect::<String>()
        );
        info.parse::<Element>().unwrap().try_into().unwrap()
    };
    let mut announce = |number: usize| {
        let info = disco(number);
        let ver = caps::hash_caps(&caps::compute_disco(&info), hashes::Algo::Sha_1).unwrap();
        let caps = Element::from(Caps::new("urn:example", ver));
        bench.receive(&format!(
            "<presence from='fernand@example.org/laptop'>{}</presence>",
            String::from(&caps)
        ));
        let asked = bench.sent().pop()?;
        let query = String::from(&Element::from(info));
        bench.receive(&format!(
            "<iq type='result' id='{}' from='fernand@example.org/laptop'>{query}</iq>",
            asked.attr("id").unwrap()
        ));
        Some(exceeded(&mut bench).pop())
    };
    let fernand = (Bound::Capabilities, "fernand@example.org".to_owned());
    assert_eq!(announce(0), Some(None));
    assert_eq!(announce(1), Some(None));
    assert_eq!(announce(0), None, "it is known");
    assert_eq!(announce(2), Some(Some(fernand)));
    assert_eq!(announce(1), None, "it is known");
    assert!(announce(0).is_some(), "it was pushed out");
}

#[test]
fn an_answer_that_hashes_like_another_one_holds_for_nobody_else() {
    let mut bench = Bench::with_fernand();
    let query = |features: &str| {
        format!(
            "<query xmlns='http://jabber.org/protocol/disco#info'>\
             <identity category='client' type='pc'/>{features}</query>"
        )
    };
    let hash = |query: &str| {
        let info = query.parse::<Element>().unwrap().try_into().unwrap();
        caps::hash_caps(&caps::compute_disco(&info), hashes::Algo::Sha_1).unwrap()
    };
    let (one, several) = ("a&lt;b", "<feature var='a'/><feature var='b'/>");
    let one = query(&format!("<feature var='{one}'/>"));
    assert_eq!(hash(&one), hash(&query(several)));
    let caps = String::from(&Element::from(Caps::new("urn:example", hash(&one))));
    for resource in ["laptop", "phone"] {
        let from = format!("fernand@example.org/{resource}");
        bench.receive(&format!("<presence from='{from}'>{caps}</presence>"));
        let asked = bench.sent().pop().unwrap();
        let id = asked.attr("id").unwrap();
        bench.receive(&format!(
            "<iq type='result' id='{id}' from='{from}'>{one}</iq>"
        ));
    }
}
