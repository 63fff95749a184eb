//! Under which name one is in a room.

use super::*;

#[test]
fn a_new_room_says_so_and_may_give_another_name() {
    let (mut entry, _) = Entry::new("alice");
    let codes = "<item affiliation='owner' role='moderator'/><status code='110'/>\
                 <status code='201'/><status code='210'/>";
    let entered = entry.handle_available("alice42", &told(codes)).unwrap();
    let nick = "alice42".to_owned();
    assert_eq!(entered, Step::Entered { nick, is_new: true });
    assert_eq!(entry.nick(), "alice42");
}

#[test]
fn a_name_that_is_taken_is_tried_in_other_forms_and_not_for_ever() {
    let (mut entry, _) = Entry::new("alice");
    for number in 2..=5 {
        let nick = format!("alice-{number}");
        let next = entry.handle_error(&DefinedCondition::Conflict);
        assert_eq!(next, Some(Step::Enter { nick }));
    }
    let end = entry.handle_error(&DefinedCondition::Conflict).unwrap();
    let why = Some(Exit::Refused(DefinedCondition::Conflict));
    assert_eq!(end, Step::Out { why, reason: None });
    assert_eq!(entry.handle_error(&DefinedCondition::Conflict), None);
}

#[test]
fn a_name_that_somebody_was_seen_to_have_is_not_asked_for() {
    let there = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    for (names, nick) in [
        (&[][..], "alice"),
        (&["fernand", "alice-2"], "alice"),
        (&["alice", "fernand"], "alice-2"),
        (&["alice", "alice-2", "alice-4"], "alice-3"),
        // Then the room may say so.
        (
            &["alice", "alice-2", "alice-3", "alice-4", "alice-5"],
            "alice",
        ),
    ] {
        let (mut entry, _) = Entry::new("alice");
        let nick = nick.to_owned();
        let step = entry.handle_occupants(&there(names));
        assert_eq!(step, Step::Enter { nick }, "{names:?}");
    }
}

#[test]
fn a_name_that_another_session_of_the_account_has_is_given_back() {
    let seat = "<item affiliation='none' role='participant'/>";
    let shared = format!("{seat}{seat}<status code='110'/>");
    let (mut entry, _) = Entry::new("alice");
    let next = entry.handle_available("alice", &told(&shared));
    let nick = "alice-2".to_owned();
    assert_eq!(next, Some(Step::Enter { nick: nick.clone() }));
    // The other session stays, so that nobody changes its name.
    let given_back = entry.handle_unavailable("alice", &told(&status(110)));
    assert!(given_back.is_empty());
    let entered = entry.handle_available("alice-2", &told(&status(110)));
    let is_new = false;
    assert_eq!(entered, Some(Step::Entered { nick, is_new }));
    // Who was there first stays.
    assert_eq!(entry.handle_available("alice-2", &told(&shared)), None);
    assert!(entry.is_inside());
    // And comes back as who it was.
    let nick = "alice-2".to_owned();
    assert_eq!(entry.handle_lost(), [Step::Enter { nick }]);
}

#[test]
fn who_sees_another_session_under_its_name_takes_another_one() {
    let said = |session: &str, inner: &str| {
        let presence = format!(
            "<presence xmlns='jabber:client'><session xmlns='urn:x-tubes:0' id='{session}'/>\
             <x xmlns='http://jabber.org/protocol/muc#user'>{inner}</x></presence>"
        );
        let presence: Element = presence.parse().unwrap();
        Told::among(presence.children())
    };
    let own = status(110);
    let mut entry = inside().with_session("own");
    assert_eq!(entry.handle_available("alice", &said("own", &own)), None);
    // Somebody else's name is nobody's business.
    let others = entry.handle_available("fernand", &said("other", ""));
    assert!(matches!(others, Some(Step::Came { .. })));
    let step = entry.handle_available("alice", &said("other", &own));
    let nick = "alice-2".to_owned();
    assert_eq!(step, Some(Step::Rename { nick: nick.clone() }));
    // Until the room has taken note it is called as before.
    assert_eq!(entry.nick(), "alice");
    let named = entry.handle_available("alice-2", &said("own", &own));
    assert_eq!(named, Some(Step::Named { nick }));
    // Where all are told, the other one gives way.
    let seat = "<item affiliation='none' role='participant'/>";
    let shared = format!("{seat}{seat}{own}");
    let step = entry.handle_available("alice-2", &said("other", &shared));
    assert_eq!(step, None);
    // And they do not chase each other for ever.
    let mut moves = 0;
    for _ in 0..100 {
        let name = entry.nick().to_owned();
        let Some(Step::Rename { nick }) = entry.handle_available(&name, &said("other", &own))
        else {
            break;
        };
        moves += 1;
        entry.handle_available(&nick, &said("own", &own));
    }
    assert!(moves < 20, "{moves}");
}

#[test]
fn names_change_and_people_stay() {
    let mut entry = inside();
    entry.handle_available("fernand", &told("<item jid='fernand@example.net/home'/>"));
    let renamed = told("<item nick='fern' role='participant'/><status code='303'/>");
    let step = entry.handle_unavailable("fernand", &renamed);
    let (from, to) = ("fernand".to_owned(), "fern".to_owned());
    assert_eq!(step, [Step::Renamed { from, to }]);
    assert!(entry.known("fernand").is_none());
    assert!(entry.known("fern").unwrap().real.is_some());
    let own = told("<item nick='al' role='participant'/><status code='303'/><status code='110'/>");
    let step = entry.handle_unavailable("alice", &own);
    let nick = "al".to_owned();
    assert_eq!(step, [Step::Named { nick }]);
    assert!(entry.is_inside());
}
