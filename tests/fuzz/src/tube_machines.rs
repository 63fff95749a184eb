//! Both sides of a tube, each with a contact that follows no rules.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};
use tubes_protocol::tube::{Announce, Ended, Joiner, Offerer, Refusal, Whose};
use xmpp_parsers::jid::FullJid;

/// Runs both machines through what the bytes stand for: only whom the tube was offered to may
/// connect, it ends at most once, and after its end nothing happens any more.
pub fn tube_machines(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let mut offer = Offer::new();
    let mut invitation = Invitation::new(data.len().is_multiple_of(2));
    for _ in 0..MOST_STEPS {
        // Too few bytes: the run ends.
        if offer.step(&mut bytes).is_err() || invitation.step(&mut bytes).is_err() {
            return;
        }
    }
}

struct Offer {
    machine: Offerer,
    now: Instant,
    /// Whom it was offered to and who did not decline since.
    may_connect: HashSet<FullJid>,
    /// Who was ever there, and whether they were of our kind when they last came.
    seen: HashMap<FullJid, bool>,
    over: bool,
}

impl Offer {
    fn new() -> Self {
        Self {
            machine: Offerer::new(),
            now: Instant::now(),
            may_connect: HashSet::new(),
            seen: HashMap::new(),
            over: false,
        }
    }

    fn step(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let step = bytes.arbitrary::<u8>()? % 8;
        let jid = resource(bytes.arbitrary()?);
        match step {
            0 => self.online(jid, true),
            1 => self.online(jid, false),
            2 => self.machine.handle_offline(&jid, Whose::Ours, self.now),
            3 => self.machine.handle_offline(&jid, Whose::Theirs, self.now),
            4 => self.connect(&jid),
            5 => {
                self.may_connect.remove(&jid);
                let ended = self.machine.handle_declined(&jid, self.now);
                self.ended(ended);
            }
            6 => {
                self.now += Duration::from_secs(bytes.int_in_range(0..=61u8)?.into());
                let due = self.machine.poll_timeout();
                let ended = self.machine.handle_timeout(self.now);
                assert_eq!(ended.is_some(), due.is_some_and(|due| due <= self.now));
                self.ended(ended);
            }
            _ if bytes.ratio(1, 16)? => self.close(),
            _ => {}
        }
        if self.over {
            assert_eq!(self.machine.poll_timeout(), None);
        }
        Ok(())
    }

    fn online(&mut self, jid: FullJid, ours: bool) {
        match self.machine.handle_online(jid.clone(), ours) {
            None => {}
            Some(announce) => {
                assert!(!self.over, "offered after its end");
                let again = self.seen.contains_key(&jid);
                // Whom it is offered to twice may take it for a mistake, unless it is our kind.
                assert!(announce != Announce::Renew || (again && !ours));
                self.may_connect.insert(jid.clone());
            }
        }
        self.seen.insert(jid, ours);
    }

    fn connect(&mut self, jid: &FullJid) {
        match self.machine.handle_connect(jid) {
            Ok(_) => assert!(!self.over && self.may_connect.contains(jid)),
            Err(Refusal::Closed) => assert!(self.over),
            Err(Refusal::NotOffered) => assert!(!self.over),
            Err(other) => panic!("{other:?} is the joiner's"),
        }
    }

    fn close(&mut self) {
        let told = self.machine.handle_close();
        assert!(told.len() <= MOST_RESOURCES);
        assert!(told.iter().all(|jid| self.may_connect.contains(jid)));
        assert!(!self.over || told.is_empty());
        self.over = true;
    }

    fn ended(&mut self, ended: Option<Ended>) {
        assert!(ended.is_none() || !self.over, "it ended before");
        self.over |= ended.is_some();
    }
}

struct Invitation {
    machine: Joiner,
    now: Instant,
    accepted: bool,
    over: bool,
}

impl Invitation {
    fn new(seen: bool) -> Self {
        let now = Instant::now();
        let machine = match seen {
            true => Joiner::new(),
            false => Joiner::unseen(now),
        };
        Self {
            machine,
            now,
            accepted: false,
            over: false,
        }
    }

    fn step(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        match bytes.arbitrary::<u8>()? % 8 {
            0 => self.machine.handle_offered_again(),
            1 => self.machine.handle_online(),
            2 => self.machine.handle_offline(self.now),
            3 => self.accept(),
            4 => {
                let ended = self.machine.handle_closed();
                assert_eq!(ended.is_some(), !self.over);
                self.over = true;
            }
            5 if bytes.ratio(1, 16)? => {
                assert_eq!(self.machine.handle_close(), !self.over);
                self.over = true;
            }
            6 => {
                self.now += Duration::from_secs(bytes.int_in_range(0..=61u8)?.into());
                let due = self.machine.poll_timeout();
                let ended = self.machine.handle_timeout(self.now);
                assert_eq!(ended.is_some(), due.is_some_and(|due| due <= self.now));
                assert!(ended.is_none() || !self.over, "it ended before");
                self.over |= ended.is_some();
            }
            _ => {}
        }
        self.check();
        Ok(())
    }

    fn accept(&mut self) {
        match self.machine.handle_accept() {
            Ok(news) => {
                assert!(!self.over);
                assert_eq!(news, !self.accepted);
                self.accepted = true;
            }
            Err(why) => assert!(why == Refusal::Closed && self.over),
        }
    }

    fn check(&self) {
        match self.machine.handle_connect() {
            Err(Refusal::Closed) => assert!(self.over),
            Err(Refusal::NotAccepted) => assert!(!self.over && !self.accepted),
            Err(Refusal::NotOffered) => panic!("that is the offerer's"),
            Ok(()) | Err(Refusal::PeerAway) => assert!(!self.over && self.accepted),
        }
        assert!(!self.over || self.machine.poll_timeout().is_none());
    }
}

fn resource(number: u8) -> FullJid {
    static RESOURCES: LazyLock<Vec<FullJid>> = LazyLock::new(|| {
        let jids = (0..=u8::MAX).map(|number| format!("fernand@example.org/{number}").parse());
        jids.map(|jid| jid.unwrap_or_else(|why| panic!("{why}")))
            .collect()
    });
    RESOURCES[usize::from(number)].clone()
}

const MOST_STEPS: usize = 600;

/// Resources that one tube keeps account of.
const MOST_RESOURCES: usize = 64;
