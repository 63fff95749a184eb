//! What nothing follows from is told, with who has said it.

use super::*;

/// What was ignored, and of whom.
fn ignored(bench: &mut Bench) -> Vec<(Ignored, String)> {
    let events = bench.events().into_iter();
    let ignored = events.filter_map(|event| match event {
        SessionEvent::Ignored { what, who, .. } => Some((what, who.to_string())),
        _ => None,
    });
    ignored.collect()
}

fn of(what: Ignored, who: &str) -> Vec<(Ignored, String)> {
    vec![(what, who.to_owned())]
}

#[test]
fn who_was_not_asked_is_told_of_when_it_answers() {
    let mut bench = Bench::with_fernand();
    bench.receive("<iq type='result' id='tubes-7' from='fernand@example.org/laptop'/>");
    let fernand = of(Ignored::Answer, "fernand@example.org/laptop");
    assert_eq!(ignored(&mut bench), fernand);
}

/// The answer may have been on its way; once.
#[test]
fn who_answers_what_was_given_up_is_not_told_of() {
    let mut bench = Bench::with_fernand();
    let id = bench.fernand_online().attr("id").unwrap().to_owned();
    bench.receive("<presence type='unavailable' from='fernand@example.org/laptop'/>");
    let answer = |from: &str| format!("<iq type='result' id='{id}' from='{from}'/>");
    bench.receive(&answer("carol@example.org/r"));
    let carol = of(Ignored::Answer, "carol@example.org/r");
    assert_eq!(ignored(&mut bench), carol);
    bench.receive(&answer("fernand@example.org/laptop"));
    assert_eq!(ignored(&mut bench), []);
    bench.receive(&answer("fernand@example.org/laptop"));
    let again = of(Ignored::Answer, "fernand@example.org/laptop");
    assert_eq!(ignored(&mut bench), again);
}

/// A server said that it is out of reach, and it read the question later.
#[test]
fn who_answers_after_a_server_said_otherwise_is_not_told_of() {
    let mut bench = Bench::with_fernand();
    let id = bench.fernand_online().attr("id").unwrap().to_owned();
    let fernand = "fernand@example.org/laptop";
    bench.receive(&format!(
        "<iq type='error' id='{id}' from='{fernand}'><error type='wait'><recipient-unavailable \
         xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ));
    let answer = format!("<iq type='result' id='{id}' from='{fernand}'/>");
    bench.receive(&answer);
    assert_eq!(ignored(&mut bench), []);
    bench.receive(&answer);
    assert_eq!(ignored(&mut bench), of(Ignored::Answer, fernand));
}

/// A server says so of what this side has answered, in the name of who asked; but not of what others were asked.
#[test]
fn an_error_is_told_of_where_somebody_else_was_asked() {
    let mut bench = Bench::with_fernand();
    let id = bench.fernand_online().attr("id").unwrap().to_owned();
    let error = |id: &str, from: &str| {
        format!(
            "<iq type='error' id='{id}' from='{from}'><error type='cancel'><service-unavailable \
             xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        )
    };
    bench.receive(&error("his", "fernand@example.org/laptop"));
    assert_eq!(ignored(&mut bench), []);
    bench.receive(&error(&id, "carol@example.org/r"));
    let carol = of(Ignored::Answer, "carol@example.org/r");
    assert_eq!(ignored(&mut bench), carol);
}

#[test]
fn who_would_change_the_roster_is_told_of() {
    let mut bench = Bench::with_fernand();
    let push = |from: &str| {
        format!(
            "<iq type='set' id='1' from='{from}'><query xmlns='jabber:iq:roster'>\
             <item jid='carol@example.org' subscription='both'/></query></iq>"
        )
    };
    bench.receive(&push("carol@example.org/r"));
    let carol = of(Ignored::Roster, "carol@example.org/r");
    assert_eq!(ignored(&mut bench), carol);
    bench.receive(&push("alice@example.org"));
    assert_eq!(ignored(&mut bench), []);
}

#[test]
fn a_strangers_presence_and_what_it_asks_for_are_told() {
    let mut bench = Bench::with_fernand();
    bench.receive("<presence from='carol@example.org/r'/>");
    let shown = of(Ignored::Presence, "carol@example.org/r");
    assert_eq!(ignored(&mut bench), shown);
    bench.receive("<presence type='subscribe' from='carol@example.org'/>");
    let asked = of(Ignored::Subscription, "carol@example.org");
    assert_eq!(ignored(&mut bench), asked);
    bench.receive("<presence from='fernand@example.org/r'/>");
    assert_eq!(ignored(&mut bench), []);
}

#[test]
fn talk_is_told_unless_it_is_of_a_room_or_a_server() {
    let mut bench = Bench::with_fernand();
    let says = |kind: &str| {
        format!("<message type='{kind}' from='fernand@example.org/r'><body>hi</body></message>")
    };
    bench.receive(&says("groupchat"));
    bench.receive("<message from='fernand@example.org/r'/>");
    bench.receive("<message from='example.org'><body>welcome</body></message>");
    bench.receive(
        "<message from='fernand@example.org/r'><body>a tube is offered</body>\
         <tube xmlns='http://telepathy.freedesktop.org/xmpp/tubes'/></message>",
    );
    assert_eq!(ignored(&mut bench), []);
    bench.receive(&says("chat"));
    let talk = of(Ignored::Message, "fernand@example.org/r");
    assert_eq!(ignored(&mut bench), talk);
}

#[test]
fn whoever_changes_all_the_time_without_an_answer_is_told_of_now_and_then() {
    let mut bench = Bench::with_fernand();
    let announce = |number: usize| {
        format!(
            "<presence from='fernand@example.org/r'><c xmlns='http://jabber.org/protocol/caps' \
             hash='sha-1' node='urn:example' ver='AAAAAAAAAAAAAAAAAAAAAAAA{number:04}'/></presence>"
        )
    };
    let mut told = 0;
    for number in 0..1000 {
        bench.receive(&announce(number));
        // As many as all its programs may announce as they begin.
        let is_told = !ignored(&mut bench).is_empty();
        assert!(!is_told || number > 2 * 32, "{number}");
        told += usize::from(is_told);
    }
    assert!((1..100).contains(&told), "{told}");
    for number in 1000..2000 {
        // Who comes and goes all day is in no hurry.
        bench.now += Duration::from_secs(1);
        bench.receive(&announce(number));
        let is_told = !ignored(&mut bench).is_empty();
        assert!(!is_told || number < 1100, "{number}");
    }
}
