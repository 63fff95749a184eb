//! Which host is dialled when.
#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use tubes_socks5::Way::{self, Direct, Proxy};
use tubes_socks5::{Course, Next, Reached};
use tubes_transport::Kind;

const BUDGET: Duration = Duration::from_secs(5);

fn course(kind: Kind, hosts: &[Way]) -> (Course, Instant) {
    let now = Instant::now();
    (
        Course::new(kind, hosts.iter().copied(), now, now + BUDGET),
        now,
    )
}

fn dialled(next: Next) -> Option<usize> {
    match next {
        Next::Dial { host, .. } => Some(host),
        Next::Wait(_) | Next::Exhausted => None,
    }
}

#[test]
fn our_own_kind_is_raced_a_moment_apart() {
    let (mut course, now) = course(Kind::Ours, &[Direct, Direct]);
    assert_eq!(dialled(course.poll(now)), Some(0));
    let Next::Wait(Some(due)) = course.poll(now) else {
        panic!("waits for nothing");
    };
    assert!(due > now && due <= now + Duration::from_millis(250));
    assert_eq!(dialled(course.poll(due)), Some(1));
    assert_eq!(course.poll(due), Next::Wait(None));
}

#[test]
fn the_next_is_dialled_at_once_when_one_has_failed() {
    let (mut course, now) = course(Kind::Ours, &[Direct, Direct, Proxy]);
    for host in 0..3 {
        assert_eq!(dialled(course.poll(now)), Some(host));
        course.handle_failed(host, Reached::Nothing);
    }
    assert_eq!(course.poll(now), Next::Exhausted);
}

#[test]
fn a_proxy_lets_direct_hosts_go_ahead() {
    let (mut course, now) = course(Kind::Ours, &[Proxy, Direct]);
    assert_eq!(dialled(course.poll(now)), Some(1));
    let Next::Wait(Some(due)) = course.poll(now) else {
        panic!("waits for nothing");
    };
    assert!(due >= now + Duration::from_secs(1) && due < now + BUDGET / 2);
    assert_eq!(dialled(course.poll(due)), Some(0));
}

#[test]
fn others_are_dialled_one_after_the_other() {
    let (mut course, now) = course(Kind::Other, &[Direct, Direct, Proxy]);
    assert_eq!(dialled(course.poll(now)), Some(0));
    assert_eq!(course.poll(now + BUDGET), Next::Wait(None));
    course.handle_failed(0, Reached::Nothing);
    assert_eq!(dialled(course.poll(now)), Some(1));
}

#[test]
fn a_listener_that_was_reached_in_vain_is_not_reached_again() {
    let (mut course, now) = course(Kind::Other, &[Direct, Direct, Proxy, Direct]);
    assert_eq!(dialled(course.poll(now)), Some(0));
    course.handle_failed(0, Reached::Listener);
    assert_eq!(dialled(course.poll(now)), Some(2));
    course.handle_failed(2, Reached::Listener);
    assert_eq!(course.poll(now), Next::Exhausted);
}

#[test]
fn every_host_gets_a_share_of_the_time() {
    let (mut course, mut now) = course(Kind::Other, &[Direct, Direct, Direct, Proxy]);
    for host in 0..4 {
        let Next::Dial { within, .. } = course.poll(now) else {
            panic!("host {host} is not dialled");
        };
        assert!(within >= Duration::from_millis(600), "{within:?}");
        now += within;
        course.handle_failed(host, Reached::Nothing);
    }
}

#[test]
fn without_hosts_there_is_nothing_to_do() {
    for kind in [Kind::Ours, Kind::Other] {
        let (mut course, now) = course(kind, &[]);
        assert_eq!(course.poll(now), Next::Exhausted);
    }
}

proptest! {
    #[test]
    fn a_gabble_never_sees_a_second_connection(
        hosts in prop::collection::vec(prop_oneof![Just(Direct), Just(Proxy)], 0..12),
        outcomes in prop::collection::vec((any::<bool>(), 0u64..2000), 12),
    ) {
        let (mut course, mut now) = course(Kind::Other, &hosts);
        let mut reached = 0;
        for (listener, later) in outcomes {
            let Next::Dial { host, within } = course.poll(now) else { break };
            prop_assert!(within <= Duration::from_secs(2));
            // While one is dialled, no other is.
            prop_assert_eq!(course.poll(now + BUDGET), Next::Wait(None));
            if listener && hosts[host] == Direct {
                reached += 1;
            }
            let how = if listener { Reached::Listener } else { Reached::Nothing };
            course.handle_failed(host, how);
            now += Duration::from_millis(later);
        }
        prop_assert!(reached <= 1);
    }

    #[test]
    fn every_host_of_our_own_kind_is_dialled_once_and_in_time(
        hosts in prop::collection::vec(prop_oneof![Just(Direct), Just(Proxy)], 0..9),
    ) {
        let (mut course, mut now) = course(Kind::Ours, &hosts);
        let begun = now;
        let mut seen = Vec::new();
        loop {
            match course.poll(now) {
                Next::Dial { host, .. } => seen.push(host),
                Next::Wait(Some(due)) => {
                    prop_assert!(due > now);
                    now = due;
                }
                Next::Wait(None) | Next::Exhausted => break,
            }
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..hosts.len()).collect::<Vec<_>>());
        prop_assert!(now - begun < BUDGET, "{:?}", now - begun);
    }
}
