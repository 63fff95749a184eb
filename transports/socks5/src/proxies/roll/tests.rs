//! Which proxies are told to whom.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use xmpp_parsers::jid::Jid;

use super::*;

fn proxy(name: &str) -> Streamhost {
    Streamhost {
        jid: Jid::new(name).unwrap(),
        host: "192.0.2.1".to_owned(),
        port: 1080,
    }
}

fn roll(names: &[&str]) -> Roll {
    let mut roll = Roll::default();
    roll.set(names.iter().map(|name| proxy(name)).collect());
    roll
}

fn told(roll: &Roll, kind: Kind, now: Instant) -> Vec<String> {
    let told = roll.to_tell(kind, false, now).into_iter();
    told.map(|proxy| proxy.host.jid.to_string()).collect()
}

#[test]
fn one_that_failed_rests_and_comes_back_last() {
    let now = Instant::now();
    let mut roll = roll(&["a", "b"]);
    roll.failed(&proxy("a"), now);
    assert_eq!(told(&roll, Kind::Ours, now), ["b"]);
    assert_eq!(told(&roll, Kind::Ours, now + REST), ["b", "a"]);
    roll.worked(&proxy("a"));
    assert_eq!(told(&roll, Kind::Ours, now), ["a", "b"]);
}

#[test]
fn one_that_fails_again_rests_twice_as_long() {
    let mut now = Instant::now();
    let mut roll = roll(&["a"]);
    let mut rest = FIRST_REST;
    for _ in 0..10 {
        roll.failed(&proxy("a"), now);
        // What fails together counts once.
        roll.failed(&proxy("a"), now);
        assert!(told(&roll, Kind::Ours, now + rest - MOMENT).is_empty());
        now += rest;
        assert_eq!(told(&roll, Kind::Ours, now), ["a"]);
        rest = (rest * 2).min(REST);
    }
    assert_eq!(rest, REST);
    roll.worked(&proxy("a"));
    roll.failed(&proxy("a"), now);
    assert_eq!(told(&roll, Kind::Ours, now + FIRST_REST), ["a"]);
}

#[test]
fn a_search_that_was_not_answered_in_full_forgets_nothing() {
    let now = Instant::now();
    let mut roll = roll(&["a"]);
    roll.add(vec![proxy("a"), proxy("b")]);
    assert_eq!(told(&roll, Kind::Ours, now), ["a", "b"]);
    roll.add(Vec::new());
    assert_eq!(told(&roll, Kind::Ours, now), ["a", "b"]);
    let mut moved = proxy("a");
    moved.port += 1;
    roll.add(vec![moved.clone()]);
    assert!(roll.contains(&moved) && !roll.contains(&proxy("a")));
    assert_eq!(told(&roll, Kind::Ours, now), ["b", "a"]);
    roll.add((0..OWN).map(|number| proxy(&number.to_string())).collect());
    assert_eq!(roll.list().len(), OWN);
}

#[test]
fn one_that_works_has_not_failed() {
    let now = Instant::now();
    let mut roll = roll(&["a", "b"]);
    for name in ["a", "b"] {
        roll.judge(&proxy(name), Verdict::Fails(String::new()), now);
    }
    assert_eq!(roll.failing(), [proxy("a"), proxy("b")]);
    roll.worked(&proxy("a"));
    assert_eq!(roll.failing(), [proxy("b")]);
    assert_eq!(roll.verdict(&proxy("a")), Verdict::Untried);
}

const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn one_is_known_by_its_name_without_the_resource() {
    let roll = roll(&["proxy.tubes.example/7"]);
    assert!(roll.contains(&proxy("proxy.tubes.example/7")));
    assert!(roll.contains(&proxy("proxy.tubes.example")));
    assert!(!roll.contains(&proxy("tubes.example")));
    let mut elsewhere = proxy("proxy.tubes.example");
    elsewhere.host = "192.0.2.2".to_owned();
    assert!(!roll.contains(&elsewhere));
}

#[test]
fn one_that_was_placed_rests_likewise() {
    let now = Instant::now();
    let (mut roll, placed) = (roll(&["a"]), [proxy("placed")]);
    let told = |roll: &Roll, now| told(&roll.clone().with(&placed), Kind::Ours, now);
    assert_eq!(told(&roll, now), ["a", "placed"]);
    roll.failed(&proxy("placed"), now);
    assert_eq!(told(&roll, now), ["a"]);
    roll.worked(&proxy("placed"));
    assert_eq!(told(&roll, now), ["a", "placed"]);
    roll.judge(&proxy("placed"), Verdict::Fails(String::new()), now);
    assert_eq!(told(&roll, now), ["a"]);
    assert_eq!(told(&roll, now + REST), ["a", "placed"]);
    assert!(!roll.contains(&proxy("placed")));
}

#[test]
fn others_are_told_only_what_is_known_to_relay() {
    let now = Instant::now();
    let mut roll = roll(&["untried", "flawed", "good"]);
    roll.judge(&proxy("flawed"), Verdict::Withholds, now);
    roll.judge(&proxy("good"), Verdict::Relays, now);
    assert_eq!(told(&roll, Kind::Other, now), ["good"]);
    assert_eq!(told(&roll, Kind::Ours, now).len(), 3);
    assert_eq!(roll.to_tell(Kind::Other, true, now).len(), 3);
}

#[test]
fn what_is_known_outlasts_a_new_search() {
    let now = Instant::now();
    let mut roll = roll(&["a", "b"]);
    roll.judge(&proxy("a"), Verdict::Relays, now);
    roll.set(vec![proxy("c"), proxy("a")]);
    assert_eq!(roll.verdict(&proxy("a")), Verdict::Relays);
    assert_eq!(roll.verdict(&proxy("c")), Verdict::Untried);
    assert!(!roll.contains(&proxy("b")));
}

#[test]
fn of_others_only_so_many_are_remembered() {
    let now = Instant::now();
    let mut roll = Roll::default();
    for number in 0..=FOREIGN {
        roll.judge(&proxy(&format!("p{number}")), Verdict::Relays, now);
    }
    assert_eq!(roll.verdict(&proxy("p0")), Verdict::Untried);
    assert_eq!(roll.verdict(&proxy("p1")), Verdict::Relays);
    assert!(roll.list().is_empty());
}
