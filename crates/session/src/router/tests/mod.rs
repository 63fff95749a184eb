//! What becomes of each stanza.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::time::Duration;

use tokio::sync::oneshot;
use tubes_transport::{Outbox, Stanzas};
use xmpp_parsers::ns;

mod contacts;
mod ignored;
mod losses;
mod rooms;

use super::*;

struct Bench {
    router: Router,
    stanzas: Stanzas,
    outbox: Outbox,
    now: Instant,
}

impl Bench {
    /// A session that has just begun, and whose roster is yet to come.
    fn told_of(cut_answers: CutAnswers) -> Self {
        let (stanzas, outbox, switchboard) = Stanzas::pair();
        let identity = Identity::new(["urn:example".to_owned()]);
        let own: FullJid = "alice@example.org/r".parse().unwrap();
        let router = Router::new(own.clone(), identity, 7, switchboard);
        let mut router = router.told_of(cut_answers);
        let now = Instant::now();
        router.handle_reset(own, now);
        Self {
            router,
            stanzas,
            outbox,
            now,
        }
    }

    /// A session that has just begun, with this roster.
    fn new(roster: &str) -> Self {
        let mut bench = Self::told_of(CutAnswers::default());
        let asked = bench.sent();
        assert_eq!(asked.len(), 2, "{asked:?}");
        let id = asked[0].attr("id").unwrap().to_owned();
        bench.receive(&format!(
            "<iq type='result' id='{id}'><query xmlns='jabber:iq:roster'>{roster}</query></iq>"
        ));
        bench
    }

    fn with_fernand() -> Self {
        Self::new("<item jid='fernand@example.org' subscription='both'/>")
    }

    fn receive(&mut self, stanza: &str) {
        let end = stanza.find([' ', '/', '>']).unwrap();
        let (name, rest) = stanza.split_at(end);
        let stanza = format!("{name} xmlns='jabber:client'{rest}")
            .parse::<Element>()
            .unwrap();
        let stanza = match stanza.name() {
            "iq" => Iq::try_from(stanza).unwrap().into(),
            "message" => Message::try_from(stanza).unwrap().into(),
            _ => Presence::try_from(stanza).unwrap().into(),
        };
        self.router.handle_stanza(stanza, self.now);
    }

    fn sent(&mut self) -> Vec<Element> {
        std::iter::from_fn(|| self.router.take_out())
            .map(element)
            .collect()
    }

    fn events(&mut self) -> Vec<SessionEvent> {
        std::iter::from_fn(|| self.router.take_event()).collect()
    }

    /// Those that are not of what nothing follows from.
    fn consequences(&mut self) -> Vec<SessionEvent> {
        let mut events = self.events();
        events.retain(|event| !matches!(event, SessionEvent::Ignored { .. }));
        events
    }

    /// Fernand's laptop comes online with capabilities nobody knows; returns the question.
    fn fernand_online(&mut self) -> Element {
        self.receive("<presence from='fernand@example.org/laptop'/>");
        self.sent().remove(0)
    }

    fn ask_fernand(
        &mut self,
        patience: Patience,
    ) -> oneshot::Receiver<Result<Option<Element>, AskError>> {
        let (reply, answer) = oneshot::channel();
        let to = Some("fernand@example.org/laptop".parse().unwrap());
        let payload = Element::bare("q", "urn:example");
        let question = Question::Set;
        self.router.handle_outbound(
            Outbound::Ask {
                to,
                question,
                payload,
                patience,
                reply,
            },
            self.now,
        );
        answer
    }
}

fn element(stanza: Stanza) -> Element {
    match stanza {
        Stanza::Iq(iq) => iq.into(),
        Stanza::Message(message) => message.into(),
        Stanza::Presence(presence) => presence.into(),
    }
}

fn condition(stanza: &Element) -> &str {
    let error = stanza.get_child("error", ns::DEFAULT_NS).unwrap();
    error.children().next().unwrap().name()
}

const TUBES: &str = "<query xmlns='http://jabber.org/protocol/disco#info'>\
    <feature var='http://telepathy.freedesktop.org/xmpp/tubes'/></query>";

#[test]
fn announces_itself_with_capabilities_that_it_answers_for() {
    let (_, _, switchboard) = Stanzas::pair();
    let identity = Identity::new(["urn:example".to_owned()]);
    let own: FullJid = "alice@example.org/r".parse().unwrap();
    let mut router = Router::new(own.clone(), identity, 7, switchboard);
    router.handle_reset(own, Instant::now());
    let _roster = router.take_out();
    let presence = element(router.take_out().unwrap());
    let caps = presence.get_child("c", ns::CAPS).unwrap();
    let node = format!(
        "{}#{}",
        caps.attr("node").unwrap(),
        caps.attr("ver").unwrap()
    );
    let mut bench = Bench::new("");
    bench.receive(&format!(
        "<iq type='get' id='1' from='mallory@example.org/x'>\
         <query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/></iq>"
    ));
    let answer = bench.sent().remove(0);
    assert_eq!(answer.attr("type"), Some("result"));
    let info = answer.get_child("query", ns::DISCO_INFO).unwrap();
    assert!(
        info.children()
            .any(|child| child.attr("var") == Some("urn:example"))
    );
    assert_eq!(info.attr("node"), Some(&*node));
}

#[test]
fn answers_pings_and_versions_and_refuses_unknown_nodes() {
    let mut bench = Bench::new("");
    bench
        .receive("<iq type='get' id='1' from='f@example.org/x'><ping xmlns='urn:xmpp:ping'/></iq>");
    bench.receive(
        "<iq type='get' id='2' from='f@example.org/x'><query xmlns='jabber:iq:version'/></iq>",
    );
    bench.receive("<iq type='get' id='3' from='f@example.org/x'><query xmlns='http://jabber.org/protocol/disco#info' node='x'/></iq>");
    let sent = bench.sent();
    assert_eq!(sent[0].attr("type"), Some("result"));
    assert!(sent[1].get_child("query", ns::VERSION).is_some());
    assert_eq!(condition(&sent[2]), "item-not-found");
}

#[test]
fn hands_over_what_nobody_claims_and_says_whether_the_sender_is_known() {
    let mut bench = Bench::with_fernand();
    for from in ["fernand@example.org/laptop", "mallory@example.org/x"] {
        bench.receive(&format!(
            "<message from='{from}'><x xmlns='urn:example'/></message>"
        ));
    }
    let senders: Vec<_> = bench
        .events()
        .into_iter()
        .map(|event| match event {
            SessionEvent::Unclaimed { sender, .. } => sender,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(senders, [Acquaintance::Contact, Acquaintance::Stranger]);
}

#[test]
fn passes_over_what_was_stored_while_it_was_away() {
    let mut bench = Bench::with_fernand();
    let stored = "<message from='fernand@example.org/laptop'><x xmlns='urn:example'/>\
        <delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/></message>";
    bench.receive(stored);
    assert!(bench.events().is_empty());
    bench.router.handle_resumed(Instant::now());
    bench.receive(stored);
    assert!(!bench.events().is_empty());
}

#[test]
fn asks_a_contact_what_it_can_do_and_reports_it() {
    let mut bench = Bench::with_fernand();
    let question = bench.fernand_online();
    let id = question.attr("id").unwrap();
    assert!(bench.events().is_empty());
    bench.receive(&format!(
        "<iq type='result' id='{id}' from='fernand@example.org/laptop'>{TUBES}</iq>"
    ));
    assert!(
        matches!(&bench.events()[..], [SessionEvent::Online { abilities, .. }] if abilities.tubes)
    );
}

#[test]
fn asks_again_when_a_contact_does_not_say_what_it_can_do() {
    let mut bench = Bench::with_fernand();
    bench.fernand_online();
    bench.now += Duration::from_secs(30);
    bench.router.handle_timeout(bench.now);
    assert_eq!(bench.sent().len(), 1);
    bench.receive("<presence type='unavailable' from='fernand@example.org/laptop'/>");
    bench.now += Duration::from_secs(30);
    bench.router.handle_timeout(bench.now);
    assert!(bench.sent().is_empty());
}

#[test]
fn asks_again_when_a_contact_changed_while_it_was_asked_and_has_no_answer() {
    let mut bench = Bench::with_fernand();
    let id = bench.fernand_online().attr("id").unwrap().to_owned();
    let caps = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='dg=='/>";
    let presence = format!("<presence from='fernand@example.org/laptop'>{caps}</presence>");
    bench.receive(&presence);
    assert!(bench.sent().is_empty());
    bench.receive(&format!(
        "<iq type='error' id='{id}' from='fernand@example.org/laptop'><error type='cancel'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ));
    let again = bench.sent().remove(0).attr("id").unwrap().to_owned();
    bench.receive(&format!(
        "<iq type='result' id='{again}' from='fernand@example.org/laptop'>{TUBES}</iq>"
    ));
    assert_eq!(bench.consequences().len(), 1);
}

#[test]
fn a_capability_hash_is_asked_for_once_if_it_is_honest() {
    let features = ["http://telepathy.freedesktop.org/xmpp/tubes".to_owned()];
    let theirs = Identity::new(features);
    let presence = Element::from(theirs.presence());
    let caps = String::from(presence.get_child("c", ns::CAPS).unwrap());
    let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        .parse()
        .unwrap();
    let info = String::from(&theirs.answer(&query).unwrap().unwrap().unwrap());
    for (answer, questions) in [(info.as_str(), 0), (TUBES, 1)] {
        let mut bench = Bench::with_fernand();
        bench.receive(&format!(
            "<presence from='fernand@example.org/laptop'>{caps}</presence>"
        ));
        let id = bench.sent().remove(0).attr("id").unwrap().to_owned();
        bench.receive(&format!(
            "<iq type='result' id='{id}' from='fernand@example.org/laptop'>{answer}</iq>"
        ));
        assert_eq!(bench.consequences().len(), 1);
        bench.receive(&format!(
            "<presence from='fernand@example.org/phone'>{caps}</presence>"
        ));
        assert_eq!(bench.sent().len(), questions);
        assert_eq!(bench.consequences().len(), 1 - questions);
    }
}

#[test]
fn ignores_the_presence_of_strangers() {
    let mut bench = Bench::with_fernand();
    bench.receive("<presence from='mallory@example.org/x'/>");
    assert!(bench.sent().is_empty());
    bench.receive("<presence type='unavailable' from='mallory@example.org/x'/>");
    assert!(bench.consequences().is_empty());
}

#[test]
fn only_the_own_account_edits_the_roster() {
    let mut bench = Bench::new("");
    let push = |from: &str| {
        format!(
            "<iq type='set' id='1' {from}><query xmlns='jabber:iq:roster'>\
             <item jid='mallory@example.org' subscription='both'/></query></iq>"
        )
    };
    bench.receive(&push("from='mallory@example.org/x'"));
    assert_eq!(condition(&bench.sent()[0]), "service-unavailable");
    bench.receive("<presence from='mallory@example.org/x'/>");
    assert!(bench.sent().is_empty());
    bench.receive(&push("from='alice@example.org'"));
    assert_eq!(bench.sent()[0].attr("type"), Some("result"));
    bench.receive("<presence from='mallory@example.org/x'/>");
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn grants_whom_the_user_named_in_either_order() {
    let request = "<presence type='subscribe' from='fernand@example.org'/>";
    let fernand: xmpp_parsers::jid::BareJid = "fernand@example.org".parse().unwrap();
    let types = |sent: Vec<Element>| -> Vec<String> {
        sent.iter()
            .map(|presence| presence.attr("type").unwrap().to_owned())
            .collect()
    };
    let mut bench = Bench::new("");
    bench.receive(request);
    assert!(bench.sent().is_empty());
    bench
        .router
        .handle_consent(fernand.clone(), Subscribe::Yes, bench.now);
    assert_eq!(types(bench.sent()), ["subscribed", "subscribe"]);
    let mut bench = Bench::new("");
    bench
        .router
        .handle_consent(fernand.clone(), Subscribe::Yes, bench.now);
    assert_eq!(types(bench.sent()), ["subscribed", "subscribe"]);
    bench.receive(request);
    assert_eq!(types(bench.sent()), ["subscribed"]);
    let mut bench = Bench::new("");
    bench
        .router
        .handle_consent(fernand, Subscribe::No, bench.now);
    bench.receive(request);
    assert!(bench.sent().is_empty());
}
