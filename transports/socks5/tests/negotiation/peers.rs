//! Alice, who asks for a bytestream, and Fernand, who is asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tubes_ibb::Ibb;
use tubes_initiation::Si;
use tubes_socks5::{Loopback, NS, Socks5};
use tubes_testkit::{Fate, Hub};
use tubes_transport::{
    Bytestream, Inbound, Kind, OpenError, Opened, Patience, Reading, Request, Signalling, Stanzas,
    Transport,
};
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

/// What became of a negotiation at one side.
pub(crate) type Outcome = Result<Opened, OpenError>;

/// Two sessions, joined without a server.
pub(crate) struct Peers {
    pub(crate) hub: Hub,
    pub(crate) alice: Stanzas,
    pub(crate) fernand: Stanzas,
    at_fernand: mpsc::Receiver<Inbound>,
    kind: Kind,
    streams: usize,
    patience: Duration,
}

impl Peers {
    /// Each takes the other for such a peer.
    pub(crate) fn of(kind: Kind) -> Self {
        let (alice, fernand, hub) = Hub::pair(alice(), fernand());
        let peers = Self {
            at_fernand: hub.unclaimed(&self::fernand()),
            hub,
            alice,
            fernand,
            kind,
            streams: 0,
            patience: PATIENCE,
        };
        peers.let_befall(|_| Fate::Pass);
        peers
    }

    /// What takes longer than this hangs.
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Decides what befalls each stanza.
    pub(crate) fn let_befall(&self, fate: impl Fn(&Element) -> Fate + Send + Sync + 'static) {
        let kind = self.kind;
        self.hub.set_filter(move |stanza| match fate(stanza) {
            Fate::Pass if kind == Kind::Other => without(stanza, "kind"),
            fate => fate,
        });
    }

    /// Runs a whole negotiation, over SOCKS5 and else in band; how long it took.
    pub(crate) async fn negotiate(
        &mut self,
        alices: Socks5,
        fernands: Socks5,
    ) -> ([Outcome; 2], Duration) {
        self.negotiate_over(ladder(alices), ladder(fernands)).await
    }

    /// Runs a whole negotiation, each side over a ladder of its own.
    pub(crate) async fn negotiate_over(
        &mut self,
        alices: Si,
        fernands: Si,
    ) -> ([Outcome; 2], Duration) {
        let begun = Instant::now();
        let request = self.next_request();
        let opening = alices.open(request.clone());
        let (opened, accepted) = self.accept_while(opening, request, fernands).await;
        ([opened, accepted], begun.elapsed())
    }

    /// Alice opens a bytestream, goes offline, and says this over it; what becomes of it at Fernand's.
    pub(crate) async fn leave_and_say(
        &mut self,
        alices: Socks5,
        fernands: Socks5,
        words: &[u8],
    ) -> Outcome {
        let (alices, hub) = (ladder(alices), self.hub.clone());
        let request = self.next_request();
        let opening = alices.open(request.clone());
        let leaving = async {
            let mut stream = opening.await.expect("an open bytestream").stream;
            hub.hang_up(&alice());
            stream.write_all(words).await.unwrap();
            stream
        };
        let (_stream, accepted) = self.accept_while(leaving, request, ladder(fernands)).await;
        accepted
    }

    /// Fernand accepts what Alice asks for; both outcomes.
    async fn accept_while<T>(
        &mut self,
        alices: impl Future<Output = T>,
        request: Request,
        fernands: Si,
    ) -> (T, Outcome) {
        let terms = Request {
            local: fernand(),
            peer: alice(),
            account: fernand(),
            stanzas: self.fernand.clone(),
            ..request
        };
        let (done, accepted) = oneshot::channel();
        let fernand = async {
            let proposal = loop {
                let Some(Inbound::Ask(ask)) = self.at_fernand.recv().await else {
                    panic!("nothing was asked");
                };
                match fernands.read(ask) {
                    Reading::Proposal(proposal) => break proposal,
                    // Of an earlier stream.
                    Reading::Foreign(ask) => {
                        ask.refuse_with(ErrorType::Cancel, DefinedCondition::ItemNotFound);
                    }
                    Reading::Answered => panic!("no proposal"),
                }
            };
            assert_eq!(proposal.kind, self.kind);
            let accepted = fernands.accept(*proposal, terms).await;
            done.send(accepted).unwrap();
            // What is still said of the stream is no concern of his.
            while let Some(Inbound::Ask(ask)) = self.at_fernand.recv().await {
                ask.refuse_with(ErrorType::Cancel, DefinedCondition::ItemNotFound);
            }
        };
        let outcomes = timeout(self.patience, async {
            tokio::select! {
                (opened, accepted) = async { tokio::join!(alices, accepted) } => {
                    (opened, accepted.unwrap())
                }
                () = fernand => panic!("the session ended"),
            }
        });
        outcomes.await.expect("an outcome")
    }

    fn next_request(&mut self) -> Request {
        self.streams += 1;
        Request {
            stream: format!("stream-{}", self.streams).into(),
            local: alice(),
            peer: fernand(),
            account: alice(),
            purpose: Element::bare("purpose", "urn:example:purpose"),
            extensions: Vec::new(),
            patience: Patience::NEGOTIATION,
            stanzas: self.alice.clone(),
        }
    }

    /// The hosts that Alice told of, `None` if she sent no query.
    pub(crate) fn told(&self) -> Option<Vec<tubes_socks5::Streamhost>> {
        let said = self.hub.transcript();
        let queries = said
            .iter()
            .filter(|(from, stanza)| *from == alice() && is_to(stanza, &fernand()));
        let mut payloads = queries.flat_map(|(_, stanza)| stanza.children());
        let query = payloads.find(|payload| payload.is("query", NS))?;
        Some(tubes_socks5::streamhosts(query))
    }

    /// The identifiers of all streams that were begun, in the order of the stanzas.
    pub(crate) fn begun(&self) -> Vec<(String, String)> {
        let said = self.hub.transcript();
        let asked = said
            .iter()
            .filter(|(from, stanza)| *from == alice() && is_to(stanza, &fernand()));
        let payloads = asked.flat_map(|(_, stanza)| stanza.children());
        let begun = payloads.filter(|payload| matches!(payload.name(), "query" | "open"));
        begun
            .map(|payload| {
                let sid = payload.attr("sid").unwrap().to_owned();
                (payload.name().to_owned(), sid)
            })
            .collect()
    }
}

/// SOCKS5 first, then in band.
pub(crate) fn ladder(socks5: Socks5) -> Si {
    Si::new(vec![Arc::new(socks5), Arc::new(Ibb::new())])
}

/// For peers on the same machine, with time enough if that is busy.
pub(crate) fn at_home(socks5: Socks5) -> Socks5 {
    let socks5 = socks5.with_loopback(Loopback::Always);
    socks5.with_budget(BUDGET).with_stillness(STILLNESS)
}

/// For those who are to wait the budget out.
pub(crate) fn in_a_hurry(socks5: Socks5) -> Socks5 {
    at_home(socks5).with_budget(Duration::from_secs(2))
}

/// A requester's, which has seen what its proxies do.
pub(crate) async fn explored(socks5: Socks5, peers: &Peers) -> Socks5 {
    socks5.explore(alice(), peers.alice.clone()).await;
    socks5
}

/// A stanza that arrives without a child of its payload.
pub(crate) fn without(stanza: &Element, name: &str) -> Fate {
    let Some(payload) = stanza.children().next() else {
        return Fate::Pass;
    };
    let Some(ns) = payload.children().find(|child| child.name() == name) else {
        return Fate::Pass;
    };
    let (ns, mut payload) = (ns.ns(), payload.clone());
    payload.remove_child(name, ns.as_str());
    Fate::Replace(payload)
}

pub(crate) fn is_to(stanza: &Element, whom: &FullJid) -> bool {
    stanza.attr("to") == Some(whom.as_str())
}

/// Both sides opened over this transport; what each of them, Alice first, says to have failed
/// before.
pub(crate) fn opened(outcomes: [Outcome; 2], label: &str, before: [&[&str]; 2]) -> [Bytestream; 2] {
    let [alice, fernand] = outcomes.map(|outcome| outcome.expect("an open bytestream"));
    let tried = [&alice, &fernand].map(|opened| {
        let failed = opened.attempts.iter();
        failed.map(|tried| tried.transport).collect::<Vec<_>>()
    });
    let labels = [&alice, &fernand].map(|opened| opened.stream.label());
    let reasons = [&alice.attempts, &fernand.attempts];
    assert_eq!(labels, [label; 2], "{reasons:#?}");
    assert_eq!(tried, before, "{reasons:#?}");
    [alice.stream, fernand.stream]
}

/// Bytes pass in both directions, up to the end.
pub(crate) async fn carries([mut alice, mut fernand]: [Bytestream; 2]) {
    pass(&mut alice, &mut fernand, 100_000).await;
    pass(&mut fernand, &mut alice, 100_000).await;
    let ending = async {
        alice.shutdown().await.unwrap();
        assert_eq!(fernand.read(&mut [0]).await.unwrap(), 0);
        // It may wait until that has arrived, and so somebody has to read.
        let (shut, end) = tokio::join!(fernand.shutdown(), async { alice.read(&mut [0]).await });
        shut.unwrap();
        assert_eq!(end.unwrap(), 0);
    };
    timeout(PATIENCE, ending).await.expect("an end");
}

/// A burst passes from one end to the other; how long that took.
pub(crate) async fn pass(
    from: &mut (impl AsyncWrite + Unpin),
    to: &mut Bytestream,
    length: usize,
) -> Duration {
    let begun = Instant::now();
    let said: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
    let mut heard = vec![0; length];
    let write = async {
        from.write_all(&said).await?;
        from.flush().await
    };
    let passing = async { tokio::try_join!(write, to.read_exact(&mut heard)) };
    let passed = timeout(PATIENCE, passing).await;
    passed
        .unwrap_or_else(|_| panic!("{length} bytes hang"))
        .unwrap();
    assert!(heard == said, "{length} bytes came damaged");
    begun.elapsed()
}

pub(crate) fn alice() -> FullJid {
    FullJid::new("alice@tubes.example/desk").unwrap()
}

pub(crate) fn fernand() -> FullJid {
    FullJid::new("fernand@tubes.example/lab").unwrap()
}

/// The first stream of a test.
pub(crate) const SID: &str = "stream-1";

/// For all hosts together to be reached.
const BUDGET: Duration = Duration::from_secs(20);

/// For a proxy on a busy machine to pass the rest of a burst on, before the trial is over as a whole.
const STILLNESS: Duration = Duration::from_secs(8);

/// For one of them that is there to be used, on a busy machine: before the budget is used up.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// For the budget of who is in a hurry to be waited out, and what follows: before the ten seconds
/// that a requester reckons with for each host.
pub(crate) const WAITED_OUT: Duration = Duration::from_secs(9);

/// For a proxy to be waited for in vain, five seconds, and what follows: before the half minute
/// after which a requester stops waiting for a responder.
pub(crate) const NOT_ACTIVATED: Duration = Duration::from_secs(25);

/// What takes longer hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
