//! Coming into a room and out of it, by what services say (XEP-0045).
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on has failed.

use proptest::collection::vec;
use proptest::prelude::*;
use tubes_protocol::room::{Entry, Exit, Removal, Step, Told};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::DefinedCondition;

fn told(inner: &str) -> Told {
    let presence = format!(
        "<presence xmlns='jabber:client'><c xmlns='http://jabber.org/protocol/caps'/>\
         <x xmlns='http://jabber.org/protocol/muc#user'>{inner}</x></presence>"
    );
    let presence: Element = presence.parse().unwrap();
    Told::among(presence.children())
}

fn status(code: u16) -> String {
    format!("<item affiliation='none' role='participant'/><status code='{code}'/>")
}

fn inside() -> Entry {
    let (mut entry, _) = Entry::new("alice");
    entry
        .handle_available("alice", &told(&status(110)))
        .unwrap();
    entry
}

#[test]
fn others_are_told_before_this_side_is_in() {
    let (mut entry, first) = Entry::new("alice");
    let nick = "alice".to_owned();
    assert_eq!(first, Step::Enter { nick: nick.clone() });
    let real = "fernand@example.net/home";
    let fernand = told(&format!(
        "<item affiliation='none' role='participant' jid='{real}'/>"
    ));
    let came = entry.handle_available("fernand", &fernand).unwrap();
    let real = Some(real.parse().unwrap());
    assert_eq!(
        came,
        Step::Came {
            occupant: "fernand".to_owned(),
            real
        }
    );
    // Said again: no news.
    assert_eq!(entry.handle_available("fernand", &fernand), None);
    assert!(!entry.is_inside());
    let entered = entry
        .handle_available("alice", &told(&status(110)))
        .unwrap();
    assert_eq!(
        entered,
        Step::Entered {
            nick,
            is_new: false
        }
    );
    assert!(entry.is_inside());
    assert_eq!(
        entry
            .known("fernand")
            .unwrap()
            .real
            .as_ref()
            .unwrap()
            .resource()
            .as_str(),
        "home"
    );
    assert_eq!(entry.handle_available("alice", &told(&status(110))), None);
}

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
fn who_is_not_let_in_hears_why() {
    for condition in [
        DefinedCondition::NotAuthorized,
        DefinedCondition::Forbidden,
        DefinedCondition::RegistrationRequired,
        DefinedCondition::ItemNotFound,
    ] {
        let (mut entry, _) = Entry::new("alice");
        let end = entry.handle_error(&condition).unwrap();
        let why = Some(Exit::Refused(condition));
        assert_eq!(end, Step::Out { why, reason: None });
    }
    // Inside, an error is of something else.
    assert_eq!(inside().handle_error(&DefinedCondition::Conflict), None);
}

#[test]
fn who_is_put_out_hears_why() {
    let kicked = "<item affiliation='none' role='none'><reason>enough</reason></item>\
                  <status code='110'/><status code='307'/>";
    let for_members = format!("{}<status code='322'/>", status(110));
    let banned =
        "<item affiliation='outcast' role='none'/><status code='301'/><status code='110'/>";
    let destroyed = "<item affiliation='none' role='none'/><status code='110'/>\
                     <destroy jid='other@conf.example'><reason>over</reason></destroy>";
    for (said, removal, reason) in [
        (kicked, Removal::Kicked, Some("enough")),
        (&for_members, Removal::NotAMember, None),
        (banned, Removal::Banned, None),
        (destroyed, Removal::Destroyed, Some("over")),
    ] {
        let mut entry = inside();
        let out = entry.handle_unavailable("alice", &told(said));
        let why = Some(Exit::Removed(removal));
        let reason = reason.map(ToOwned::to_owned);
        assert_eq!(out, [Step::Out { why, reason }]);
        assert!(!entry.is_inside());
        assert_eq!(entry.handle_timeout(), None);
    }
    let left = inside().handle_unavailable("alice", &told(&status(110)));
    let (why, reason) = (None, None);
    assert_eq!(left, [Step::Out { why, reason }]);
}

#[test]
fn who_loses_a_room_that_goes_down_comes_back_when_it_does() {
    let shut = format!("{}<status code='332'/>", status(110));
    let failed = "<item affiliation='none' role='none'/><status code='110'/>\
                  <status code='307'/><status code='333'/>";
    for said in [&shut, failed] {
        let mut entry = inside();
        let steps = entry.handle_unavailable("alice", &told(said));
        assert_eq!(steps, [Step::EnterLater]);
        let nick = "alice".to_owned();
        assert_eq!(
            entry.handle_timeout(),
            Some(Step::Enter { nick: nick.clone() })
        );
        let later = entry.handle_error(&DefinedCondition::RemoteServerNotFound);
        assert_eq!(later, Some(Step::EnterLater));
        assert_eq!(entry.handle_silence(), Some(Step::EnterLater));
        assert_eq!(
            entry.handle_timeout(),
            Some(Step::Enter { nick: nick.clone() })
        );
        let entered = entry
            .handle_available("alice", &told(&status(110)))
            .unwrap();
        assert_eq!(
            entered,
            Step::Entered {
                nick,
                is_new: false
            }
        );
    }
    // Who was never inside hears of it at once.
    let (mut entry, _) = Entry::new("alice");
    let why = Some(Exit::Silent);
    assert_eq!(
        entry.handle_silence(),
        Some(Step::Out { why, reason: None })
    );
}

#[test]
fn a_ping_that_is_refused_tells_whether_this_side_is_inside() {
    for (condition, is_inside) in [
        (DefinedCondition::NotAcceptable, false),
        (DefinedCondition::NotAllowed, false),
        (DefinedCondition::ServiceUnavailable, true),
        (DefinedCondition::FeatureNotImplemented, true),
        (DefinedCondition::ItemNotFound, false),
        (DefinedCondition::RemoteServerTimeout, true),
    ] {
        let mut entry = inside();
        let steps = entry.handle_ping_refused(&condition);
        assert_eq!(entry.is_inside(), is_inside, "{condition:?}");
        assert_eq!(steps.is_empty(), is_inside);
    }
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

#[test]
fn who_was_lost_enters_anew_under_the_wanted_name() {
    let mut entry = inside();
    entry.handle_available("fernand", &told("<item role='participant'/>"));
    let steps = entry.handle_lost();
    let left = Step::Left {
        occupant: "fernand".to_owned(),
    };
    let enter = Step::Enter {
        nick: "alice".to_owned(),
    };
    assert_eq!(steps, [left, enter]);
    assert!(!entry.is_inside());
    // Not after it was put out.
    entry.handle_error(&DefinedCondition::Forbidden);
    assert!(entry.handle_lost().is_empty());
}

#[test]
fn codes_and_elements_that_nobody_knows_change_nothing() {
    let odd = "<status code='999'/><status code='x'/><status/><more xmlns='urn:example:more'/>\
               <item jid='@' role='emperor'/><status code='110'/>";
    let told = told(odd);
    assert!(told.is_own());
    assert_eq!(told.real, None);
    assert_eq!(told.removal(), None);
    assert_eq!(Told::among([]), Told::default());
}

proptest! {
    /// Whatever comes: who came leaves at most once, and outside nothing follows.
    #[test]
    fn everybody_who_leaves_has_come(
        happenings in vec((0..4_u8, 0..5_u8, 0..6_usize), 0..80)
    ) {
        let (mut entry, _) = Entry::new("n0");
        let mut there = std::collections::BTreeSet::new();
        let said = [
            told(""), told(&status(110)), told(&status(307)),
            told("<item nick='n1'/><status code='303'/>"),
            told("<item nick='n2'/><status code='303'/><status code='110'/>"),
            told("<item jid='fernand@example.net/home'/>"),
        ];
        let mut is_out = false;
        for (kind, who, what) in happenings {
            let (who, what) = (format!("n{who}"), said.get(what).unwrap());
            let steps = match kind {
                0 | 1 => entry.handle_available(&who, what).into_iter().collect(),
                2 => entry.handle_unavailable(&who, what),
                _ if what.is_own() => entry.handle_lost(),
                _ => entry.handle_error(&DefinedCondition::Conflict).into_iter().collect(),
            };
            prop_assert!(!is_out || steps.is_empty());
            for step in steps {
                match step {
                    Step::Came { occupant, .. } => { there.insert(occupant); }
                    Step::Left { occupant } => prop_assert!(there.remove(&occupant)),
                    Step::Renamed { from, to } => {
                        prop_assert!(there.remove(&from));
                        there.insert(to);
                    }
                    Step::Out { .. } => is_out = true,
                    _ => {}
                }
            }
            prop_assert!(!is_out || !entry.is_inside());
        }
    }
}
