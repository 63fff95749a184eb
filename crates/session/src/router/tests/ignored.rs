//! What nothing follows from is told, with who has said it.

use super::*;

/// What was ignored, and of whom.
fn ignored(bench: &mut Bench) -> Vec<(Ignored, String)> {
    let events = std::iter::from_fn(|| bench.router.take_event());
    let ignored = events.filter_map(|event| match event {
        SessionEvent::Ignored { what, who } => Some((what, who.to_string())),
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
fn talk_is_told_unless_it_is_of_a_room_or_the_application_hears_it() {
    let mut bench = Bench::with_fernand();
    let says = |kind: &str| {
        format!("<message type='{kind}' from='fernand@example.org/r'><body>hi</body></message>")
    };
    bench.receive(&says("groupchat"));
    bench.receive("<message from='fernand@example.org/r'/>");
    assert_eq!(ignored(&mut bench), []);
    bench.receive(&says("chat"));
    let talk = of(Ignored::Message, "fernand@example.org/r");
    assert_eq!(ignored(&mut bench), talk);
    bench.router.handle_share();
    bench.receive(&says("chat"));
    assert_eq!(ignored(&mut bench), []);
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
        // As many as a program may announce at its start.
        let is_told = !ignored(&mut bench).is_empty();
        assert!(!is_told || number > 16, "{number}");
        told += usize::from(is_told);
    }
    assert!((1..100).contains(&told), "{told}");
}
