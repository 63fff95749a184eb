//! The two machines of Stream Initiation, each alone and one against the other.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on has failed.

use proptest::collection::vec;
use proptest::prelude::*;
use tubes_protocol::si::{
    Requester, RequesterAction, Responder, ResponderAction, SiAnswer, SiError,
};

#[test]
fn falls_back_in_the_order_of_the_answer() {
    let mut requester = Requester::new(["a", "b", "c"]);
    assert_eq!(
        requester.handle_answer(&answer(&["c", "a", "b"], true)),
        try_("c")
    );
    assert_eq!(requester.handle_failed(true), try_("a"));
    assert_eq!(requester.handle_failed(true), try_("b"));
    assert_eq!(requester.handle_failed(true), RequesterAction::Exhausted);
}

#[test]
fn ignores_methods_it_never_offered_and_duplicates() {
    let mut requester = Requester::new(["a", "b"]);
    let answer = answer(&["x", "b", "b", "a", "b"], true);
    assert_eq!(requester.handle_answer(&answer), try_("b"));
    assert_eq!(requester.handle_failed(true), try_("a"));
    assert_eq!(requester.handle_failed(true), RequesterAction::Exhausted);
}

#[test]
fn does_not_fall_back_after_a_classic_answer() {
    let mut requester = Requester::new(["a", "b"]);
    assert_eq!(
        requester.handle_answer(&answer(&["b", "a"], false)),
        try_("b")
    );
    assert_eq!(requester.handle_failed(true), RequesterAction::Exhausted);
}

#[test]
fn is_exhausted_by_an_answer_without_a_usable_method() {
    for methods in [&["x"][..], &[]] {
        let mut requester = Requester::new(["a"]);
        let action = requester.handle_answer(&answer(methods, true));
        assert_eq!(action, RequesterAction::Exhausted);
    }
}

#[test]
fn stops_when_nothing_else_can_succeed() {
    let mut requester = Requester::new(["a", "b"]);
    requester.handle_answer(&answer(&["a", "b"], true));
    assert_eq!(requester.handle_failed(false), RequesterAction::Stop);
    assert_eq!(requester.handle_failed(true), RequesterAction::Unexpected);
}

#[test]
fn the_requester_stays_where_it_is_when_events_come_out_of_turn() {
    let mut requester = Requester::new(["a", "b"]);
    assert_eq!(requester.handle_failed(true), RequesterAction::Unexpected);
    let answer = answer(&["a", "b"], true);
    assert_eq!(requester.handle_answer(&answer), try_("a"));
    assert_eq!(
        requester.handle_answer(&answer),
        RequesterAction::Unexpected
    );
    assert_eq!(requester.handle_failed(true), try_("b"));
}

#[test]
fn answers_in_the_order_of_the_offer_with_what_it_knows() {
    let responder = responder(&["x", "b", "a", "b"], true, &["a", "b"]);
    assert_eq!(responder.methods(), ["b", "a"]);
}

#[test]
fn answers_with_the_first_it_knows_if_there_is_no_fallback() {
    let responder = responder(&["x", "b", "a"], false, &["a", "b"]);
    assert_eq!(responder.methods(), ["b"]);
}

#[test]
fn has_no_answer_if_it_knows_none() {
    let offered = ["x".to_owned()];
    let why = Responder::new(&offered, true, &["a"]).unwrap_err();
    assert_eq!(why, SiError::NoValidStreams);
}

#[test]
fn follows_the_requester_from_one_method_to_the_next() {
    let mut responder = responder(&["a", "b"], true, &["a", "b"]);
    assert_eq!(responder.handle_stanza("a"), attempt("a"));
    assert_eq!(responder.handle_failed(true), ResponderAction::Await);
    assert_eq!(responder.handle_stanza("b"), attempt("b"));
    assert_eq!(responder.handle_failed(true), ResponderAction::Exhausted);
}

#[test]
fn lets_the_requester_skip_methods_but_never_go_back() {
    let mut responder = responder(&["a", "b", "c"], true, &["a", "b", "c"]);
    assert_eq!(responder.handle_stanza("b"), attempt("b"));
    assert_eq!(responder.handle_failed(true), ResponderAction::Await);
    assert_eq!(responder.handle_stanza("a"), ResponderAction::Unexpected);
    assert_eq!(responder.handle_stanza("b"), ResponderAction::Unexpected);
    assert_eq!(responder.handle_stanza("c"), attempt("c"));
}

#[test]
fn moves_on_with_a_requester_that_gave_up_first() {
    let mut responder = responder(&["a", "b"], true, &["a", "b"]);
    assert_eq!(responder.handle_stanza("a"), attempt("a"));
    assert_eq!(responder.handle_stanza("a"), ResponderAction::Unexpected);
    assert_eq!(responder.handle_stanza("b"), attempt("b"));
}

#[test]
fn does_not_try_what_it_did_not_answer_with() {
    let mut responder = responder(&["a", "b"], false, &["a", "b"]);
    assert_eq!(responder.handle_stanza("b"), ResponderAction::Unexpected);
    assert_eq!(responder.handle_stanza("x"), ResponderAction::Unexpected);
    assert_eq!(responder.handle_stanza("a"), attempt("a"));
}

#[test]
fn the_responder_stays_done() {
    let mut responder = responder(&["a", "b"], true, &["a", "b"]);
    assert_eq!(responder.handle_failed(true), ResponderAction::Unexpected);
    responder.handle_stanza("a");
    assert_eq!(responder.handle_failed(false), ResponderAction::Stop);
    assert_eq!(responder.handle_failed(true), ResponderAction::Unexpected);
    assert_eq!(responder.handle_stanza("b"), ResponderAction::Unexpected);
}

/// How the try of one method goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Course {
    /// It opens.
    Opens,
    /// The requester cannot even begin; it says nothing.
    Unprepared,
    /// The responder fails and says so.
    Refused,
    /// The requester loses patience while the responder still tries.
    Abandoned,
    /// The session is lost before the responder learns of it.
    LostBefore,
    /// The session is lost while both try.
    LostAmid,
}

fn course() -> impl Strategy<Value = Course> {
    use Course::*;
    let all = [Opens, Unprepared, Refused, Abandoned, LostBefore, LostAmid];
    proptest::sample::select(all.to_vec())
}

/// One side's end of a negotiation.
#[derive(Clone, Debug, PartialEq)]
enum End {
    Opened(String),
    Exhausted,
    Stopped,
    /// Only the responder: the requester has gone silent.
    Waiting,
}

/// Runs one machine against the other; gives both ends and what each side tried.
fn run(
    offered: &[String],
    multiple: bool,
    known: &[&str],
    courses: &[Course],
) -> Option<([End; 2], [Vec<String>; 2])> {
    let mut responder = Responder::new(offered, multiple, known).ok()?;
    let mut requester = Requester::new(offered);
    let methods: Vec<_> = responder.methods().iter().map(String::as_str).collect();
    let mut action = requester.handle_answer(&answer(&methods, multiple));
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    // What the responder comes to if nothing more is said.
    let mut rest = End::Waiting;
    for course in courses.iter().chain(std::iter::repeat(&Course::Refused)) {
        let method = match action {
            RequesterAction::Try(method) => method,
            RequesterAction::Exhausted => return Some(([End::Exhausted, rest], [asked, answered])),
            RequesterAction::Stop | RequesterAction::Unexpected => panic!("{action:?}"),
        };
        asked.push(method.clone());
        if *course == Course::Unprepared {
            action = requester.handle_failed(true);
            continue;
        }
        if *course == Course::LostBefore {
            assert_eq!(requester.handle_failed(false), RequesterAction::Stop);
            return Some(([End::Stopped, rest], [asked, answered]));
        }
        assert_eq!(responder.handle_stanza(&method), attempt(&method));
        answered.push(method.clone());
        match course {
            Course::Opens => {
                let opened = End::Opened(method);
                return Some(([opened.clone(), opened], [asked, answered]));
            }
            Course::LostAmid => {
                assert_eq!(requester.handle_failed(false), RequesterAction::Stop);
                assert_eq!(responder.handle_failed(false), ResponderAction::Stop);
                return Some(([End::Stopped, End::Stopped], [asked, answered]));
            }
            Course::Abandoned => rest = End::Waiting,
            _ => {
                rest = match responder.handle_failed(true) {
                    ResponderAction::Await => End::Waiting,
                    ResponderAction::Exhausted => End::Exhausted,
                    other => panic!("{other:?}"),
                }
            }
        }
        action = requester.handle_failed(true);
    }
    None
}

proptest! {
    #[test]
    fn both_sides_end_and_agree(
        offered in vec("[a-e]", 1..8),
        known in vec("[a-e]", 0..6),
        multiple in any::<bool>(),
        courses in vec(course(), 0..8),
    ) {
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        let Some(([requester, responder], [asked, answered])) =
            run(&offered, multiple, &known, &courses)
        else {
            prop_assert!(offered.iter().all(|method| !known.contains(&method.as_str())));
            return Ok(());
        };
        if let End::Opened(_) = requester {
            prop_assert_eq!(&requester, &responder);
        }
        prop_assert!(multiple || asked.len() == 1);
        for tried in [&asked, &answered] {
            let mut distinct = tried.clone();
            distinct.sort();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), tried.len(), "tried twice: {:?}", tried);
        }
        // The responder never tried what the requester did not.
        prop_assert!(answered.iter().all(|method| asked.contains(method)));
        // Without a loss nothing in common is left untried before giving up.
        if multiple && requester == End::Exhausted {
            for method in &offered {
                prop_assert_eq!(asked.contains(method), known.contains(&method.as_str()));
            }
        }
    }

    #[test]
    fn any_events_in_any_order_end_the_requester(
        offered in vec("[a-e]", 0..8),
        events in vec((vec("[a-g]", 0..8), any::<(bool, bool, bool)>()), 0..24),
    ) {
        let mut requester = Requester::new(&offered);
        let mut tried = Vec::new();
        for (methods, (failed, may_fall_back, multiple)) in events {
            let methods: Vec<_> = methods.iter().map(String::as_str).collect();
            let action = if failed {
                requester.handle_failed(may_fall_back)
            } else {
                requester.handle_answer(&answer(&methods, multiple))
            };
            if let RequesterAction::Try(method) = action {
                prop_assert!(offered.contains(&method) && !tried.contains(&method));
                tried.push(method);
            }
        }
    }

    #[test]
    fn any_events_in_any_order_end_the_responder(
        offered in vec("[a-e]", 1..8),
        multiple in any::<bool>(),
        events in vec(("[a-g]", any::<(bool, bool)>()), 0..24),
    ) {
        let Ok(mut responder) = Responder::new(&offered, multiple, &["b", "c", "d"]) else {
            return Ok(());
        };
        let answered = responder.methods().to_vec();
        let mut last = None;
        for (namespace, (failed, may_fall_back)) in events {
            let action = if failed {
                responder.handle_failed(may_fall_back)
            } else {
                responder.handle_stanza(&namespace)
            };
            if let ResponderAction::Try(method) = action {
                let place = answered.iter().position(|known| *known == method);
                prop_assert!(place.is_some() && place > last, "{:?} after {:?}", place, last);
                last = place;
            }
        }
    }
}

fn responder(offered: &[&str], multiple: bool, known: &[&str]) -> Responder {
    let offered: Vec<_> = offered.iter().map(|&method| method.to_owned()).collect();
    Responder::new(&offered, multiple, known).unwrap()
}

fn answer(methods: &[&str], multiple: bool) -> SiAnswer {
    SiAnswer {
        methods: methods.iter().map(|&method| method.to_owned()).collect(),
        multiple,
        purpose: None,
        ours: true,
        extensions: Vec::new(),
    }
}

fn try_(method: &str) -> RequesterAction {
    RequesterAction::Try(method.to_owned())
}

fn attempt(method: &str) -> ResponderAction {
    ResponderAction::Try(method.to_owned())
}
