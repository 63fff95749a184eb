//! How much the server lets a client say: blocks to oneself, timed.
//!
//! Servers hold back what a client says until it is down to its rate (a token bucket): ejabberd
//! after a burst, Prosody from the first large stanza on, and both let a block through quickly
//! now and then. So it is averages that tell, compared with how long a tiny stanza takes.

use std::time::Duration;

use tokio::time::Instant;
use tubes::transport::{AskError, Patience, Question};
use xmpp_parsers::minidom::Element;

use super::{Client, Finding};
use crate::output::bytes;

/// Says things to itself until the limit shows or enough was said.
pub(super) async fn limit(client: &Client) -> Finding {
    let mut gauge = match quickest(client).await {
        Ok(quickest) => Gauge::new(quickest),
        Err(why) => return stopped(&why),
    };
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        match echo(client, BLOCK, ANSWER).await {
            Ok(()) => {}
            Err(why) => return stopped(&why),
        }
        let took = asked.elapsed();
        tracing::debug!(?took, "answered");
        gauge.handle_answer(took);
        let verdict = gauge.verdict();
        let enough = gauge.said() >= ENOUGH || begun.elapsed() >= LONGEST;
        if verdict != Verdict::Unlimited || enough {
            return finding(verdict, gauge.said());
        }
    }
}

/// How long the smallest thing one can say is under way, at best.
async fn quickest(client: &Client) -> Result<Duration, AskError> {
    let mut quickest = Duration::MAX;
    for _ in 0..TINY {
        let asked = Instant::now();
        echo(client, 0, ANSWER).await?;
        quickest = quickest.min(asked.elapsed());
    }
    Ok(quickest)
}

/// Sends so much to this very client and waits for the answer: as nobody knows the question it
/// is an error, which takes the same way.
pub(super) async fn echo(client: &Client, size: usize, patience: Duration) -> Result<(), AskError> {
    let text = "x".repeat(size.saturating_sub(ENVELOPE));
    let payload = Element::builder("load", NS).append(text).build();
    let to = Some(client.jid.clone().into());
    let stanzas = client.tubes.stanzas();
    let asked = stanzas.ask(to, Question::Get, payload, Patience::Within(patience));
    match asked.await?.await {
        Ok(_) | Err(AskError::Refused(_)) => Ok(()),
        Err(why) => Err(why),
    }
}

fn stopped(why: &AskError) -> Finding {
    Finding::Bad(format!("the server stopped answering: {why}"))
}

fn finding(verdict: Verdict, said: usize) -> Finding {
    match verdict {
        Verdict::Limited { rate, burst } => {
            let after = match burst {
                0 => String::new(),
                burst => format!(" after a burst of some {} kB", rounded(burst as f64)),
            };
            let rate = rounded(rate);
            Finding::Poor(format!(
                "about {rate} kB/s{after}: in-band tubes are no faster than that"
            ))
        }
        Verdict::Unlimited => Finding::Fine(format!("none noticed in {}", bytes(said as u64))),
    }
}

/// Kilobytes, with no more digits than such a measurement is worth.
fn rounded(count: f64) -> String {
    let kilobytes = count / 1e3;
    match kilobytes < 10.0 {
        true => format!("{kilobytes:.1}"),
        false => format!("{kilobytes:.0}"),
    }
}

/// What there is to say of the limit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    /// Bytes per second, and bytes before.
    Limited { rate: f64, burst: usize },
    /// Nothing was noticed.
    Unlimited,
}

/// Tells a limit by how long answers take. Reads no clock.
#[derive(Debug)]
struct Gauge {
    /// A block that takes longer was held up.
    slow: Duration,
    /// For how long each block was under way. [`ENOUGH`] bounds it.
    took: Vec<Duration>,
}

impl Gauge {
    /// For a way on which a tiny stanza and its answer take so long.
    fn new(quickest: Duration) -> Self {
        Self {
            slow: quickest * 2 + NOISE,
            took: Vec::new(),
        }
    }

    /// A block was answered, after so long.
    fn handle_answer(&mut self, took: Duration) {
        self.took.push(took);
    }

    /// How much was said, in bytes.
    fn said(&self) -> usize {
        self.took.len() * BLOCK
    }

    fn verdict(&self) -> Verdict {
        let slow = self.slow;
        let (before, latest) = self.took.split_at(self.took.len().saturating_sub(CERTAIN));
        let (one, other) = latest.split_at(CERTAIN.min(latest.len()) / 2);
        let is_slow = |times: &[Duration]| {
            times.iter().sum::<Duration>() > slow * u32::try_from(times.len()).unwrap_or(u32::MAX)
        };
        if latest.len() < CERTAIN || !is_slow(one) || !is_slow(other) {
            return Verdict::Unlimited;
        }
        let quick = latest.iter().take_while(|took| **took <= slow).count();
        let throttled: Duration = latest.iter().skip(quick).sum();
        Verdict::Limited {
            rate: ((latest.len() - quick) * BLOCK) as f64 / throttled.as_secs_f64(),
            burst: (before.len() + quick) * BLOCK,
        }
    }
}

/// Bytes of a stanza to say at a time. At the rates that servers come with, 3 to 10 kB/s, it
/// takes twice as long as [`NOISE`] and more.
const BLOCK: usize = 8 * 1024;

/// Tiny stanzas that are timed: one of them is not held up by anything.
const TINY: usize = 3;

/// Bytes of a stanza around its text: names, two full JIDs, an id.
const ENVELOPE: usize = 256;

/// When so many answers are slow on average, in both halves, it is no accident.
const CERTAIN: usize = 8;

/// An answer may come so much later on a busy machine.
const NOISE: Duration = Duration::from_millis(400);

/// More than any burst that servers come with, in bytes.
const ENOUGH: usize = 256 * 1024;

/// On a line that is slow by itself there is nothing more to learn.
const LONGEST: Duration = Duration::from_secs(40);

/// For one block, at a kilobyte a second.
const ANSWER: Duration = Duration::from_secs(10);

/// A question that nobody knows.
const NS: &str = "urn:x-tubes:doctor";

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on these times in milliseconds, where a tiny stanza takes as long as `tiny`.
    fn verdict(tiny: u64, times: &[u64]) -> Verdict {
        let mut gauge = Gauge::new(Duration::from_millis(tiny));
        for time in times {
            gauge.handle_answer(Duration::from_millis(*time));
        }
        gauge.verdict()
    }

    #[test]
    fn notices_a_limit_after_a_burst() {
        let verdict = verdict(1, &[&[2; 2][..], &[2_700; 8]].concat());
        let Verdict::Limited { rate, burst } = verdict else {
            unreachable!("{verdict:?}");
        };
        assert!((3_000.0..3_100.0).contains(&rate), "{rate}");
        assert_eq!(burst, 2 * BLOCK);
    }

    #[test]
    fn notices_a_limit_without_a_burst() {
        let verdict = verdict(18, &[850; 8]);
        let Verdict::Limited { rate, burst } = verdict else {
            unreachable!("{verdict:?}");
        };
        assert!((9_500.0..9_700.0).contains(&rate), "{rate}");
        assert_eq!(burst, 0);
    }

    #[test]
    fn notices_a_limit_that_lets_every_other_block_through() {
        let verdict = verdict(1, &[2, 2, 1_600, 4, 1_640, 3, 1_640, 3, 1_640, 3]);
        let Verdict::Limited { rate, .. } = verdict else {
            unreachable!("{verdict:?}");
        };
        assert!((9_000.0..11_000.0).contains(&rate), "{rate}");
    }

    #[test]
    fn a_server_that_is_far_away_is_no_limit() {
        assert_eq!(verdict(800, &[900; 30]), Verdict::Unlimited);
    }

    #[test]
    fn a_busy_moment_is_no_limit() {
        let moment = [3, 3, 700, 800, 700, 3, 900, 3, 3, 3, 3, 3];
        assert_eq!(verdict(1, &moment), Verdict::Unlimited);
    }

    #[test]
    fn few_kilobytes_have_a_digit_behind_the_point() {
        assert_eq!(rounded(2_960.0), "3.0");
        assert_eq!(rounded(10_240.0), "10");
    }
}
