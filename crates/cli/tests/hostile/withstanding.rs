//! What every misbehaviour has to leave as it was.

use std::collections::HashMap;

use rustix::process::Signal;
use serde_json::Value;

use crate::attacker::Attacker;
use crate::honest::Honest;
use crate::measuring::{Storm, is_measured};
use crate::scene::Scene;
use crate::vitals::Vitals;

/// By what a misbehaviour is to be noticed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sign {
    /// What the test has waited for itself.
    Awaited,
    /// `disregarded`, of Carol, by the name of what she did.
    Disregarded(&'static str),
    /// An event of this name, in which this stands.
    Event(&'static str, &'static str),
    /// `limit_reached`, by the name of the limit.
    Limit(&'static str),
    /// A line on standard error, in which this stands.
    Log(&'static str),
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
    /// - the honest tube carries every byte meanwhile and, if it is [measured](crate::measuring), keeps
    ///   its throughput, beside her and after her, as [`Storm`](crate::measuring::Storm) has it;
    /// - nobody panics, all processes end as they should, and what they say holds nothing that would
    ///   do something to a terminal;
    /// - there is this sign of it; and
    /// - when she is gone, she is [forgotten](Self::is_forgotten): all descriptors are closed again, and
    ///   places that she had taken are there for her when she behaves.
    ///
    /// She strikes first as fast as she is listened to, in a burst, and then at a pace, as the
    /// [`Fierceness`](crate::plan::Fierceness) of the scene has it: what is
    /// measured is what her strikes cost, not that two share a processor.
    pub(crate) async fn withstands(
        mut self,
        sign: Sign,
        strike: impl AsyncFnMut(&mut Attacker, u64),
    ) -> Said {
        let before: Vec<_> = self.vitals().into_iter().map(Before::of).collect();
        let mut honest = Honest::begin(self.tube).await;
        let mut storm = Storm::of(strike);
        match is_measured() {
            true => storm.is_withstood(&mut self, &mut honest).await,
            false => storm.passes(&mut self, &mut honest).await,
        }
        drop(storm);
        honest.end().await;
        self.concludes(&before, sign).await
    }

    /// Waits until all processes have heard what Carol has said.
    pub(crate) async fn hear_all(&mut self) {
        for whom in self.names() {
            self.carol.reaches(&whom).await;
        }
    }

    /// Everything is as before, and there is this sign of what was.
    pub(crate) async fn concludes(mut self, before: &[Before], sign: Sign) -> Said {
        if let Some(late) = self.visitors.try_join_next() {
            late.unwrap();
        }
        self.visitors.shutdown().await;
        self.is_forgotten(before).await;
        for before in before {
            before.assert_little();
        }
        let said = self.leave().await;
        said.assert_harmless();
        said.assert_tells_seldom();
        said.assert_has(sign);
        said
    }

    /// All processes end as they should.
    pub(crate) async fn leave(self) -> Said {
        for program in &self.programs {
            program.signal(Signal::TERM);
        }
        let (mut events, mut complaints) = (Vec::new(), Vec::new());
        for program in self.programs {
            let (code, lines, said) = program.end_with_all().await;
            assert_eq!(code, Some(0), "{said}");
            events.push(lines);
            complaints.push(said);
        }
        Said { events, complaints }
    }
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

    /// Each of what somebody does in vain is told once a minute, whoever it is.
    pub(crate) fn assert_tells_seldom(&self) {
        let mut told = HashMap::<_, usize>::new();
        for disregarded in self.disregarded() {
            *told.entry(disregarded).or_default() += 1;
        }
        assert!(told.values().all(|times| *times <= FEW), "{told:?}");
    }

    /// By which process, what, and of whom.
    fn disregarded(&self) -> impl Iterator<Item = (usize, String, String)> {
        let word = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
        let of_all = self.events.iter().enumerate();
        of_all.flat_map(move |(process, lines)| {
            let events = lines.iter().map(|line| serde_json::from_str(line).unwrap());
            let disregarded = events.filter(|event: &Value| event["event"] == "disregarded");
            disregarded.map(move |event| (process, word(&event, "what"), word(&event, "peer")))
        })
    }

    /// A flood may leave lines like this in the log, and must not flood it.
    pub(crate) fn assert_has_few(&self, words: &str) {
        for said in &self.complaints {
            let lines = said.lines().filter(|line| line.contains(words)).count();
            assert!(lines <= FEW, "{lines} lines: {words}");
        }
    }

    pub(crate) fn assert_has(&self, sign: Sign) {
        let is_there = match sign {
            Sign::Awaited => true,
            Sign::Disregarded(what) => self
                .disregarded()
                .any(|(_, event, peer)| event == what && peer.contains("carol")),
            Sign::Event(name, words) => self
                .events()
                .any(|(event, line)| event["event"] == name && line.contains(words)),
            Sign::Limit(limit) => self
                .events()
                .any(|(event, _)| event["event"] == "limit_reached" && event["limit"] == limit),
            Sign::Log(words) => self.complaints.iter().any(|said| said.contains(words)),
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

    pub(crate) fn is_again(&self) -> bool {
        let (before, now) = self.and_now();
        now <= before
    }

    /// How many descriptors there were, and are.
    pub(crate) fn and_now(&self) -> (usize, usize) {
        (self.descriptors, self.vitals.descriptors())
    }
}

/// Events that are shown of each process if the sign is missing.
const SHOWN: usize = 5;

/// What an attack may cost, and the honest tube beside it, in bytes.
const MEMORY: u64 = 64 * 1024 * 1024;

/// Lines of the log that one flood may leave: one a minute, and none lasts longer.
const FEW: usize = 10;
