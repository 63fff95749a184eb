//! Two engines joined by a queue, under whatever order of events.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this is a test")]

mod pair;

use proptest::prelude::*;
use tubes_ibb::{Fault, Machine, Speech};
use tubes_transport::{Gone, Kind};
use xmpp_parsers::minidom::Element;

use crate::pair::{Asked, Form, Pair, Step, WINDOW, share};

fn steps(breaks: bool) -> impl Strategy<Value = Vec<(usize, Step)>> {
    let form = prop_oneof![4 => Just(Form::Iq), 1 => Just(Form::Message)];
    let step = prop_oneof![
        8 => (0usize..20_000).prop_map(Step::Write),
        8 => (0usize..20_000).prop_map(Step::Read),
        12 => Just(Step::Say),
        12 => form.prop_map(Step::Hear),
        12 => Just(Step::Answer),
        1 => Just(Step::ShutDown),
    ];
    let broken = prop_oneof![
        3 => Just(Step::Drop),
        2 => (0u64..30).prop_map(Step::Pass),
        1 => Just(Step::Cut),
    ];
    let weight = if breaks { 3 } else { 0 };
    let any = prop_oneof![97 => step, weight => broken];
    prop::collection::vec((0usize..2, any), 1..400)
}

fn sizes() -> impl Strategy<Value = u16> {
    prop_oneof![Just(1u16), Just(256), Just(5888), Just(65535), 1u16..]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn our_kind_gets_all_of_it_however_it_is_interleaved(
        steps in steps(false),
        block_size in sizes(),
    ) {
        let mut pair = Pair::new(Kind::Ours, block_size);
        for (at, step) in steps {
            pair.step(at, step);
        }
        pair.step(0, Step::ShutDown);
        pair.step(1, Step::ShutDown);
        pair.settle();
        for (end, peer) in [(0, 1), (1, 0)] {
            prop_assert_eq!(pair.ends[end].machine.is_shut_down(), Ok(true));
            prop_assert!(pair.ends[end].ended);
            prop_assert_eq!(pair.ends[end].read, pair.ends[peer].written);
            prop_assert!(pair.ends[end].machine.is_over());
        }
    }

    /// The checks of every step hold: what is read is a prefix of what was written, and all of it
    /// where both ends say that it ended well.
    #[test]
    fn nothing_is_lost_silently_and_everything_ends(
        steps in steps(true),
        block_size in sizes(),
        ours in any::<bool>(),
    ) {
        let kind = if ours { Kind::Ours } else { Kind::Other };
        let mut pair = Pair::new(kind, block_size);
        for (at, step) in steps {
            pair.step(at, step);
        }
        for end in [0, 1] {
            pair.step(end, Step::ShutDown);
        }
        pair.settle();
        for end in [0, 1] {
            pair.step(end, Step::Drop);
        }
        for _ in 0..4 {
            pair.settle();
            pair.step(0, Step::Pass(0));
            pair.step(0, Step::Pass(61));
        }
        prop_assert!(pair.ends.iter().all(|end| end.machine.is_over()));
    }

    #[test]
    fn no_stanza_can_upset_it(stanzas in prop::collection::vec(stanza(), 0..60)) {
        for kind in [Kind::Ours, Kind::Other] {
            let mut machine = Machine::new(kind, 64, WINDOW, share());
            let mut answered = 0;
            for (id, (form, payload)) in stanzas.iter().enumerate() {
                let payload = payload.clone();
                match form {
                    Form::Iq => machine.handle_ask(Asked { id, payload }),
                    Form::Message => machine.handle_tell(&payload),
                }
                answered += std::iter::from_fn(|| machine.next_answer()).count();
                let _ = machine.next_speech();
            }
            machine.handle_gone(Gone::Peer);
            answered += std::iter::from_fn(|| machine.next_answer()).count();
            let asked = stanzas.iter().filter(|(form, _)| *form == Form::Iq).count();
            prop_assert_eq!(answered, asked);
            prop_assert!(machine.is_over());
        }
    }
}

fn stanza() -> impl Strategy<Value = (Form, Element)> {
    let form = prop_oneof![Just(Form::Iq), Just(Form::Message)];
    let name = prop_oneof![6 => Just("data"), 1 => Just("close"), 1 => Just("open"), 1 => "[a-z]{1,6}"
        .prop_map(|name| &*Box::leak(name.into_boxed_str()))];
    let namespace = prop_oneof![9 => Just("http://jabber.org/protocol/ibb"), 1 => Just("urn:x")];
    let seq = prop_oneof![6 => (0u32..4).prop_map(|seq| seq.to_string()), 1 => ".{0,6}"];
    let text =
        prop_oneof![3 => Just("AAAA".to_owned()), 1 => "[A-Za-z0-9+/= \n]{0,120}", 1 => ".{0,40}"];
    (form, name, namespace, seq, text, any::<bool>()).prop_map(
        |(form, name, namespace, seq, text, abort)| {
            let none = || xmpp_parsers::minidom::rxml::Namespace::NONE;
            let mut element = Element::bare(name, namespace);
            for attribute in ["seq", "block-size"] {
                element.set_attr(none(), attribute.try_into().unwrap(), seq.clone());
            }
            element.append_text(text);
            if abort && name == "close" {
                element.append_child(Element::bare("abort", "urn:x-tubes:0"));
            }
            (form, element)
        },
    )
}

#[test]
fn the_sequence_wraps_after_65535() {
    let mut pair = Pair::new(Kind::Ours, 1);
    while pair.ends[0].written < 70_000 {
        pair.step(0, Step::Write(4096));
        pair.settle();
    }
    pair.step(0, Step::ShutDown);
    pair.settle();
    assert_eq!(pair.ends[1].read, pair.ends[0].written);
    assert!(pair.ends[1].ended);
}

#[test]
fn acknowledgements_are_withheld_from_a_writer_that_is_too_far_ahead() {
    let mut pair = Pair::new(Kind::Ours, 4096);
    let mut stuck = 0;
    while stuck < 3 {
        let before = pair.moved();
        pair.step(0, Step::Write(8192));
        pair.step(0, Step::Say);
        pair.step(1, Step::Hear(Form::Iq));
        pair.step(0, Step::Answer);
        stuck = if pair.moved() == before { stuck + 1 } else { 0 };
    }
    let (unread, _) = pair.ends[1].machine.buffered();
    assert!(unread > 64 * 1024, "{unread}");
    assert!(unread <= 64 * 1024 + WINDOW * 4096, "{unread}");
    assert_eq!(pair.ends[0].machine.write(b"more"), Ok(0));
    pair.step(1, Step::Read(usize::MAX));
    pair.settle();
    assert_eq!(pair.ends[1].read, pair.ends[0].written);
}

#[test]
fn a_program_that_left_is_waited_for_a_minute_and_no_longer() {
    let mut pair = Pair::new(Kind::Ours, 4096);
    pair.step(1, Step::ShutDown);
    pair.settle();
    pair.step(0, Step::Write(100));
    pair.step(0, Step::ShutDown);
    pair.step(0, Step::Drop);
    pair.step(0, Step::Say);
    pair.step(0, Step::Pass(0));
    pair.step(0, Step::Pass(59));
    assert!(!pair.ends[0].machine.is_over());
    pair.step(0, Step::Pass(1));
    let speech = pair.ends[0].machine.next_speech();
    assert_eq!(speech, Some(Speech::Abort));
    assert_eq!(pair.ends[0].machine.is_flushed(), Err(Fault::TimedOut));
}
