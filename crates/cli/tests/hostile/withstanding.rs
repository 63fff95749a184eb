//! What every misbehaviour has to leave as it was.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tokio::time::{interval, sleep, timeout};

use crate::attacker::{Attacker, bare};
use crate::honest::{Honest, until_served};
use crate::scene::Scene;
use crate::vitals::Vitals;

/// By what a misbehaviour is to be noticed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sign {
    /// What the test has waited for itself.
    Awaited,
    /// An event of this name, in which this stands.
    Event(&'static str, &'static str),
    /// `limit_reached`, by the name of the limit.
    Limit(&'static str),
    /// A line on standard error, in which this stands.
    Log(&'static str),
    /// Nothing: no process says anything about Carol, because of this.
    Silence(&'static str),
}

/// What the processes have said, for what a test wants to know beside.
pub(crate) struct Said {
    /// Lines of events of each, in the order of [`Scene::programs`].
    pub(crate) events: Vec<Vec<String>>,
    /// What stands on the standard error of each.
    pub(crate) complaints: Vec<String>,
}

impl Scene {
    /// Carol strikes, again and again, and:
    ///
    /// - the memory of each process stays within [`MEMORY`] of what it had at the beginning, at its
    ///   peak, and
    /// - the honest tube carries at least [`SHARE`] of what it carries without her. It is measured in short
    ///   rounds, without her and beside her in turn, whose medians are compared. Machines are noisy: of
    ///   [`COMPARISONS`] one has to do;
    /// - nobody panics, all processes end as they should, and what they say holds nothing that would
    ///   do something to a terminal;
    /// - there is this sign of it; and
    /// - when she is gone, she is forgotten: all descriptors are closed again, she herself is answered
    ///   when she behaves, and so is a program that comes anew.
    ///
    /// She strikes first as fast as she is listened to, in a burst, and then at a pace, as the
    /// [`Fierceness`](crate::scene::Fierceness) of the scene has it: what is
    /// measured is what her strikes cost, not that two share a processor.
    pub(crate) async fn withstands(
        mut self,
        sign: Sign,
        strike: impl AsyncFnMut(&mut Attacker, u64),
    ) -> Said {
        let before: Vec<_> = self.vitals().into_iter().map(Before::of).collect();
        let honest = Honest::begin(self.tube).await;
        let mut storm = Storm { strike, blows: 0 };
        storm.burst(&mut self).await;
        let mut best = 0.0;
        for _ in 0..COMPARISONS {
            best = f64::max(best, storm.comparison(&mut self, &honest).await);
            if best >= SHARE {
                break;
            }
        }
        drop(storm);
        for before in &before {
            before.assert_little();
        }
        assert!(
            best >= SHARE,
            "the honest tube had {best:.2} of its throughput"
        );
        honest.end().await;
        self.is_forgotten(&before).await;
        let carol = bare(&self.carol.jid);
        let said = self.leave().await;
        said.assert_harmless();
        said.assert_has(sign, &carol);
        said
    }

    /// Waits until all processes have heard what Carol has said.
    async fn hear_all(&mut self) {
        for whom in self.names() {
            self.carol.reaches(&whom).await;
        }
    }

    /// Carol leaves, and nothing is left of her. If she comes back and behaves, she is answered.
    pub(crate) async fn is_forgotten(&mut self, before: &[Before]) {
        let begun = Instant::now();
        let account = bare(&self.carol.jid);
        let again = Attacker::log_in(self.server, &account, &self.password, "again").await;
        drop(std::mem::replace(&mut self.carol, again));
        if let Some(room) = &self.room {
            // Under the former name she may still be on her way out.
            self.carol.enter(room, "again").await;
        }
        let names = self.names();
        let at_ease = async {
            for whom in names {
                let answer = self.carol.ask(&whom, "get", DISCO).await;
                assert!(answer.contains("type='result'"), "{answer}");
            }
            until_served(self.tube).await;
            while !before.iter().all(Before::is_again) {
                sleep(GLANCE).await;
            }
        };
        timeout(FORGOTTEN, at_ease).await.unwrap_or_else(|_| {
            let descriptors = |before: &Before| (before.descriptors, before.vitals.descriptors());
            let descriptors: Vec<_> = before.iter().map(descriptors).collect();
            panic!("not forgotten: {descriptors:?} descriptors before and now")
        });
        eprintln!("forgotten after {:?}", begun.elapsed());
    }

    /// All processes end as they should.
    pub(crate) async fn leave(self) -> Said {
        for program in &self.programs {
            program.signal(Signal::TERM);
        }
        let (mut events, mut complaints) = (Vec::new(), Vec::new());
        for program in self.programs {
            let (code, lines, said) = program.end_with_rest().await;
            assert_eq!(code, Some(0), "{said}");
            events.push(lines);
            complaints.push(said);
        }
        Said { events, complaints }
    }
}

/// Carol's strikes, one after the other.
struct Storm<S> {
    strike: S,
    blows: u64,
}

impl<S: AsyncFnMut(&mut Attacker, u64)> Storm<S> {
    async fn blow(&mut self, carol: &mut Attacker) {
        (self.strike)(carol, self.blows).await;
        self.blows += 1;
    }

    async fn burst(&mut self, scene: &mut Scene) {
        while self.blows < scene.fierceness.burst {
            self.blow(&mut scene.carol).await;
            if self.blows.is_multiple_of(HEED) {
                scene.hear_all().await;
            }
        }
    }

    /// What is left of the throughput.
    async fn comparison(&mut self, scene: &mut Scene, honest: &Honest) -> f64 {
        let (mut without, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            without.push(honest.round().await);
            let over = Cell::new(false);
            let storming = async {
                let mut pace = interval(scene.fierceness.pace);
                while !over.get() {
                    pace.tick().await;
                    self.blow(&mut scene.carol).await;
                }
            };
            let measuring = async {
                let round = honest.round().await;
                over.set(true);
                round
            };
            // What she has begun to say she says to its end.
            let ((), round) = tokio::join!(storming, measuring);
            beside.push(round);
            scene.hear_all().await;
        }
        let [without, beside] = [without, beside].map(median);
        eprintln!(
            "{:.1} MB/s without, {:.1} beside",
            without / 1e6,
            beside / 1e6
        );
        beside / without
    }
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

impl Said {
    /// Whatever somebody says who reads this on a terminal.
    pub(crate) fn assert_harmless(&self) {
        let events = self.events.iter().flatten();
        for said in events.chain(&self.complaints) {
            let harmful = |char: &char| is_harmful(*char) && *char != '\n';
            let found = said.chars().find(harmful);
            assert!(found.is_none(), "{found:?} in {said}");
            assert!(!said.contains("panicked"), "{said}");
        }
    }

    /// A flood may leave lines like this in the log, and must not flood it.
    pub(crate) fn assert_has_few(&self, words: &str) {
        for said in &self.complaints {
            let lines = said.lines().filter(|line| line.contains(words)).count();
            assert!(lines <= FEW, "{lines} lines: {words}");
        }
    }

    pub(crate) fn assert_has(&self, sign: Sign, carol: &str) {
        let is_there = match sign {
            Sign::Awaited => true,
            Sign::Event(name, words) => self
                .events()
                .any(|(event, line)| event["event"] == name && line.contains(words)),
            Sign::Limit(limit) => self
                .events()
                .any(|(event, _)| event["event"] == "limit_reached" && event["limit"] == limit),
            Sign::Log(words) => self.complaints.iter().any(|said| said.contains(words)),
            Sign::Silence(why) => {
                eprintln!("nothing is said of it: {why}");
                let quiet = self.complaints.iter().all(String::is_empty);
                quiet
                    && !self
                        .events
                        .iter()
                        .flatten()
                        .any(|line| line.contains(carol))
            }
        };
        let last = |lines: &Vec<String>| {
            let passed = lines.len().saturating_sub(SHOWN);
            lines[passed..].to_vec()
        };
        let last: Vec<_> = self.events.iter().map(last).collect();
        let said = &self.complaints;
        assert!(is_there, "{sign:?}: {last:#?} {said:#?}");
    }

    fn events(&self) -> impl Iterator<Item = (Value, &String)> {
        let lines = self.events.iter().flatten();
        lines.map(|line| (serde_json::from_str(line).unwrap(), line))
    }
}

/// Whether a terminal would do something about it, or show what follows where it is not.
pub(crate) fn is_harmful(char: char) -> bool {
    let reorders =
        ('\u{202a}'..='\u{202e}').contains(&char) || ('\u{2066}'..='\u{2069}').contains(&char);
    char.is_control() || reorders
}

/// What a process had before anybody strove for its harm.
#[derive(Clone, Copy)]
pub(crate) struct Before {
    vitals: Vitals,
    memory: u64,
    descriptors: usize,
}

impl Before {
    pub(crate) fn of(vitals: Vitals) -> Self {
        vitals.forget_peak();
        Self {
            vitals,
            memory: vitals.memory(),
            descriptors: vitals.descriptors(),
        }
    }

    pub(crate) fn assert_little(&self) {
        let more = self.vitals.peak().saturating_sub(self.memory);
        eprintln!(
            "{} KiB more at the peak than {}",
            more / 1024,
            self.memory / 1024
        );
        assert!(more <= MEMORY, "{more} bytes more than before");
    }

    fn is_again(&self) -> bool {
        self.vitals.descriptors() <= self.descriptors
    }
}

/// Events that are shown of each process if the sign is missing.
const SHOWN: usize = 5;

/// XEP-0030.
const DISCO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";

/// What an attack may cost, and the honest tube beside it, in bytes.
const MEMORY: u64 = 64 * 1024 * 1024;

/// What has to be left of the throughput.
const SHARE: f64 = 0.8;

/// Comparisons of which one has to do, and the rounds of each, without Carol and beside her.
const COMPARISONS: usize = 12;
const ROUNDS: usize = 5;

/// After how many strikes Carol waits until they are heard, in a burst: a server that has nowhere to put
/// what she says would send Alice away, not her.
const HEED: u64 = 32;

/// Lines of the log that one flood may leave: one a minute, and none lasts longer.
const FEW: usize = 10;

/// How soon everything is as before.
const FORGOTTEN: Duration = Duration::from_secs(15);

/// How often it is looked whether it is.
const GLANCE: Duration = Duration::from_millis(20);
