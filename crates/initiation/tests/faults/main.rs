//! Every fault at every step of a bytestream's life, in memory.
//!
//! Whatever befalls whichever stanza: what a side takes for complete is complete, both sides
//! come to an end within a deadline, and nothing is left of the stream. Only where a single
//! stanza was lost without a trace do they wait for as long as the peer lives: see [`waits`].
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

mod exchange;
mod step;

use std::time::Duration;

use tokio::time::timeout;
use tubes_testkit::{Fate, Step};
use tubes_transport::Role;

use exchange::{Exchange, Manner, Outcome};
use step::{befallen, numbers};

#[tokio::test(start_paused = true)]
async fn nothing_befalls_a_stream_that_nothing_befalls() {
    for manner in [Manner::AtOnce, Manner::InTurn] {
        let exchange = Exchange::begin(|_| Fate::Pass);
        let outcomes = exchange.end(manner).await;
        assert_eq!(outcomes, (Outcome::Complete, Outcome::Complete));
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_within_the_deadlines_harms_nobody() {
    for step in Step::IN_BAND {
        for manner in [Manner::AtOnce, Manner::InTurn] {
            let late = Fate::Delay(Duration::from_secs(5));
            let exchange = Exchange::begin(befallen(step, 1, late));
            let outcomes = exchange.end(manner).await;
            let well = (Outcome::Complete, Outcome::Complete);
            assert_eq!(outcomes, well, "{step:?}, {manner:?}");
        }
    }
}

/// Each test is one fate, at each step, on both sides.
macro_rules! at_every_step {
    ($($name:ident: $fate:expr;)+) => {
        $(#[tokio::test(start_paused = true)]
        async fn $name() {
            at_every_step($fate).await;
        })+
    };
}

at_every_step! {
    cut_instead_of_a_stanza: Fate::Cut;
    cut_after_a_stanza: Fate::CutAfter;
    a_stanza_is_delayed_beyond_all_deadlines: Fate::Delay(Duration::from_secs(90));
    a_stanza_is_lost: Fate::Drop;
    a_stanza_comes_twice: Fate::Duplicate;
    a_stanza_ends_its_receivers_session: Fate::Garble;
    a_stanza_is_overtaken: Fate::HoldBack;
    a_stanza_comes_with_something_else_in_it:
        Fate::Replace("<other xmlns='urn:example:other' sid='s1'/>".parse().unwrap());
}

async fn at_every_step(fate: Fate) {
    for step in Step::IN_BAND {
        for number in numbers(step) {
            for manner in [Manner::AtOnce, Manner::InTurn] {
                let cell = format!("{fate:?} at {step:?}, number {number}, {manner:?}");
                let exchange = Exchange::begin(befallen(step, number, fate.clone()));
                end(exchange, manner, &cell, waits(&fate, step)).await;
            }
        }
    }
}

/// Whether both sides may wait for as long as the other one lives.
///
/// A close that is not answered is what a slow program at the other side looks like (XEP-0047 §2.3
/// lets a peer withhold the answer), and it may be slow for hours. A server that loses a single stanza
/// and goes on breaks RFC 6120 §10.1 and is not told from that. What bounds the wait: the session pings
/// a silent peer; the tube's close; and, once the local program has left, a minute. (A block, or its
/// acknowledgement, is asked about by a further one.)
fn waits(fate: &Fate, step: Step) -> bool {
    let lost = match fate {
        Fate::Drop => true,
        // It waits for another one that does not come.
        Fate::HoldBack => true,
        _ => false,
    };
    lost && match step {
        Step::SiRequest | Step::SiAnswer | Step::Open | Step::OpenAnswer => false,
        Step::Data(_) | Step::DataAnswer(_) => false,
        Step::Close(_) | Step::CloseAnswer(_) => true,
        Step::Hosts | Step::HostsAnswer | Step::Activation | Step::ActivationAnswer => false,
    }
}

async fn end(exchange: Exchange, manner: Manner, cell: &str, may_wait: bool) {
    let hub = exchange.hub.clone();
    let ends = exchange.ends.clone();
    let mut ending = Box::pin(exchange.end(manner));
    let outcomes = match timeout(DEADLINE, &mut ending).await {
        Ok(outcomes) => outcomes,
        Err(_) if may_wait => {
            ends.go_away(&hub);
            let gone = timeout(DEADLINE, &mut ending).await;
            gone.unwrap_or_else(|_| panic!("{cell}: waits for one who went away"))
        }
        Err(_) => panic!("{cell}: hangs; {:#?}", exchange::spoken(&hub)),
    };
    drop(ending);
    for outcome in [&outcomes.0, &outcomes.1] {
        if let Outcome::Truncated(length) = outcome {
            panic!("{cell}: {length} bytes were taken for all; {outcomes:?}");
        }
    }
    // What is still to be said, and withdrawn, has its time.
    tokio::time::sleep(DEADLINE).await;
    assert_eq!(hub.pending(), 0, "{cell}: questions are left");
    ends.assert_released(cell);
}

/// Beyond all deadlines on the way: a minute for the answer, one for the transport, and one for
/// what is left when a side gives up.
const DEADLINE: Duration = Duration::from_secs(200);

#[test]
fn every_role_has_its_steps() {
    let of = |role| {
        Step::IN_BAND
            .into_iter()
            .filter(move |step| step.role() == Some(role))
    };
    assert_eq!(of(Role::Requester).count(), of(Role::Responder).count());
}
