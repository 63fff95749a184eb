//! Who connects to the port where direct connections are waited for, and says nothing, little, or nonsense.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpStream;

use crate::plan::{Plan, Standing};
use crate::program::free_port;
use crate::withstanding::Sign;

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_take_no_place_of_who_is_expected() {
    let sign = Sign::Log("a client has not said what it wants");
    besieged(sign, &["-v"], |_, _| Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_of_one_byte_at_a_time_take_no_place_of_who_is_expected() {
    let sign = Sign::Log("a client has not said what it wants");
    besieged(sign, &["-v"], |_, said| match said {
        0 => vec![5],
        1 => vec![255],
        _ => vec![1],
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_at_the_port_is_sent_away() {
    let sign = Sign::Log("a client was sent away");
    besieged(sign, &["-v"], |blow, _| {
        let mut garbage = vec![blow.to_le_bytes()[0]; 3000];
        garbage[0] = b"GET \x16\x04\x00\xff<"[usize::try_from(blow % 9).unwrap()];
        garbage
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_methods_without_an_end_are_sent_away() {
    let sign = Sign::Log("a client was sent away");
    besieged(sign, &["-v"], |_, _| {
        let mut list = vec![5, 255];
        list.extend([1; 255].repeat(64));
        list
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessed_destinations_lead_nowhere() {
    let sign = Sign::Log("a client wants a stream that nobody expects");
    besieged(sign, &["-v"], |blow, _| {
        let mut guess = vec![5, 1, 0, 5, 1, 0, 3, 40];
        guess.extend(format!("{blow:040x}").as_bytes());
        guess.extend([0, 0]);
        guess
    })
    .await;
}

/// Strangers connect to Fernand's port, and say at each strike what `says` makes of its number, and of how
/// often the connection has said something. Meanwhile new programs come through the tube all the time:
/// else nobody would be waited for at that port.
async fn besieged(sign: Sign, words: &[&str], says: impl Fn(u64, usize) -> Vec<u8>) {
    let port = free_port();
    let accepting = ["--socks5-port", &port.to_string()];
    // No other transport would serve them instead.
    let plan = Plan::new(Standing::Stranger)
        .by("socks5-direct")
        .visited_by(PROGRAMS)
        .with(words);
    let scene = plan
        .accepting_with(&accepting)
        .with_light_strikes(BURST)
        .set()
        .await;
    let entered = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&entered);
    let mut strangers = VecDeque::new();
    scene
        .withstands(sign, async move |_, blow| {
            let crowd = if blow < BURST { AT_ONCE } else { AT_PACE };
            for _ in 0..crowd {
                // As long as nobody is expected, nobody listens.
                let place = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                if let Ok(stranger) = TcpStream::connect(place).await {
                    count.fetch_add(1, Ordering::Relaxed);
                    strangers.push_back((stranger, 0));
                }
                if strangers.len() > STRANGERS {
                    strangers.pop_front();
                }
            }
            let talking = if blow < BURST { STRANGERS } else { TALKING };
            for (stranger, said) in strangers.iter_mut().rev().take(talking) {
                // It may have been sent away.
                let _ = stranger.try_write(&says(blow, *said));
                *said += 1;
            }
        })
        .await;
    let entered = entered.load(Ordering::Relaxed);
    eprintln!("{entered} strangers were let in");
    assert!(entered > 0);
}

/// Programs that come and go at a time: enough that somebody is expected most of the time.
const PROGRAMS: usize = 4;

/// Strikes at once.
const BURST: u64 = 128;

/// Strangers that come with each of those, with a later strike, and that stay: more than may be about to say
/// what they want.
const AT_ONCE: usize = 16;
const AT_PACE: usize = 1;
const STRANGERS: usize = 400;

/// Those who say something with a later strike.
const TALKING: usize = 32;
