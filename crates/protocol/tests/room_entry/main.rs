//! Coming into a room and out of it, by what services say (XEP-0045).
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on has failed.

mod names;

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

/// Services strike out what others say in their name; with one that does not, nobody knows which it is.
#[test]
fn what_is_said_twice_in_the_name_of_the_room_is_not_believed() {
    let x = |inner: &str| format!("<x xmlns='http://jabber.org/protocol/muc#user'>{inner}</x>");
    let presence = format!(
        "<presence xmlns='jabber:client'>{}{}<occupant-id xmlns='urn:xmpp:occupant-id:0' id='0a1b'/>\
         </presence>",
        x(
            "<item affiliation='none' role='participant' jid='alice@example.org/home'/>\
           <status code='110'/>"
        ),
        x("<item affiliation='none' role='participant' jid='fernand@example.net/home'/>"),
    );
    let presence: Element = presence.parse().unwrap();
    assert_eq!(Told::among(presence.children()), Told::default());
    let mut entry = inside();
    assert!(!entry.is_own("fernand", &Told::among(presence.children())));
    let came = entry.handle_available("fernand", &Told::among(presence.children()));
    let (occupant, real) = ("fernand".to_owned(), None);
    assert_eq!(came, Some(Step::Came { occupant, real }));
}

/// Whatever the room says of it, nothing follows.
#[test]
fn who_does_not_want_to_be_there_is_out() {
    let mut entry = inside();
    entry.handle_available("fernand", &told(&status(100)));
    entry.handle_out();
    assert!(!entry.is_inside() && entry.known("fernand").is_none());
    assert_eq!(entry.handle_available("alice", &told(&status(110))), None);
    assert_eq!(entry.handle_unavailable("alice", &told(&status(110))), []);
    assert_eq!(entry.handle_lost(), []);
    assert_eq!(entry.handle_timeout(), None);
    assert_eq!(entry.handle_silence(), None);
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
