//! Transports that do as they are told, and two peers who use them.
#![allow(dead_code)] // Each test file is a crate of its own and uses a part of this.

use std::future::pending;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tubes_initiation::Si;
use tubes_protocol::ns;
use tubes_protocol::si::SiRequest;
use tubes_protocol::tube::{Setting, StreamFor, TubeNumber};
use tubes_testkit::Hub;
use tubes_transport::{
    Ask, Attempt, Bytestream, ConnectError, Gone, Inbound, Kind, OpenError, Opened, Patience, Plan,
    Proposal, Question, Reading, Request, Role, Signalling, Stanzas, Transport, Wire,
};
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

/// The namespaces of the transports in these tests.
pub(crate) const A: &str = "urn:example:a";
pub(crate) const B: &str = "urn:example:b";
pub(crate) const C: &str = "urn:example:c";

/// What a transport does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Course {
    /// Opens if the peer agrees.
    Opens,
    /// Fails: refuses the peer, or does not like its answer.
    Fails,
    /// Fails before anything is said.
    FailsToPrepare,
    /// Never gets anywhere once the talk has begun.
    Hangs,
    /// Never gets anywhere, and says nothing.
    HangsPreparing,
    /// Finds the session lost.
    Lost,
}

/// A transport that does as it is told: its requester asks `<begin/>`, its responder answers.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) namespace: &'static str,
    pub(crate) course: Course,
    pub(crate) plans: Option<mpsc::UnboundedSender<Plan>>,
}

#[async_trait]
impl Transport for Fake {
    fn namespace(&self) -> &'static str {
        self.namespace
    }

    async fn prepare(&self, plan: Plan) -> Result<Box<dyn Attempt>, ConnectError> {
        if let Some(plans) = &self.plans {
            plans.send(plan.clone()).unwrap();
        }
        match self.course {
            Course::FailsToPrepare => Err(io::Error::other("no socket").into()),
            Course::HangsPreparing => pending().await,
            course => Ok(Box::new(Try {
                namespace: self.namespace,
                course,
                role: plan.role,
            })),
        }
    }
}

struct Try {
    namespace: &'static str,
    course: Course,
    role: Role,
}

#[async_trait]
impl Attempt for Try {
    async fn connect(
        self: Box<Self>,
        _: Option<Element>,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        match (self.course, self.role) {
            (Course::Lost, _) => return Err(Gone::Session.into()),
            (Course::Hangs, _) => pending().await,
            (_, Role::Requester) => {
                let begin = begin(self.namespace, wire.stream().as_str());
                let patience = Patience::default();
                wire.ask(Question::Set, begin, patience).await?.await?;
            }
            (course, Role::Responder) => match wire.next().await? {
                Inbound::Ask(ask) if course == Course::Opens => ask.grant(None),
                Inbound::Ask(ask) => {
                    ask.refuse_with(ErrorType::Cancel, DefinedCondition::ItemNotFound);
                }
                other => panic!("{other:?}"),
            },
        }
        match self.course {
            Course::Opens => Ok(Bytestream::new(tokio::io::empty(), self.namespace)),
            _ => Err(ConnectError::Unreachable("as told".to_owned())),
        }
    }
}

/// The first stanza of a transport.
pub(crate) fn begin(namespace: &str, sid: &str) -> Element {
    Element::builder("begin", namespace)
        .attr(xml_ncname!("sid").into(), sid)
        .build()
}

/// A ladder of transports that do as they are told.
pub(crate) fn si<const N: usize>(rungs: [(&'static str, Course); N]) -> Si {
    let rungs = rungs.map(|(namespace, course)| -> Arc<dyn Transport> {
        Arc::new(Fake {
            namespace,
            course,
            plans: None,
        })
    });
    Si::new(rungs.into())
}

/// Alice, who asks for bytestreams, and Fernand, who is asked.
pub(crate) struct Peers {
    pub(crate) hub: Hub,
    pub(crate) alice: Stanzas,
    pub(crate) fernand: Stanzas,
    /// What reaches Fernand outside of any wire.
    pub(crate) at_fernand: mpsc::Receiver<Inbound>,
}

impl Peers {
    pub(crate) fn new() -> Self {
        let (alice, fernand, hub) = Hub::pair(alice(), fernand());
        Self {
            at_fernand: hub.unclaimed(&self::fernand()),
            hub,
            alice,
            fernand,
        }
    }

    /// Alice's request for a bytestream.
    pub(crate) fn request(&self) -> Request {
        Request {
            stream: SID.into(),
            local: alice(),
            peer: fernand(),
            account: alice(),
            purpose: purpose(),
            extensions: Vec::new(),
            patience: Patience::NEGOTIATION,
            stanzas: self.alice.clone(),
        }
    }

    /// Fernand's terms for accepting one.
    pub(crate) fn terms(&self) -> Request {
        Request {
            local: fernand(),
            peer: alice(),
            account: fernand(),
            purpose: StreamFor::answer(),
            stanzas: self.fernand.clone(),
            ..self.request()
        }
    }

    /// The next question that reaches Fernand outside of any wire.
    pub(crate) async fn asked(&mut self) -> Ask {
        match self.at_fernand.recv().await {
            Some(Inbound::Ask(ask)) => ask,
            other => panic!("{other:?}"),
        }
    }

    /// The next proposal that reaches Fernand.
    pub(crate) async fn proposed(&mut self, si: &Si) -> Proposal {
        proposal(si.read(self.asked().await))
    }

    /// Runs a whole negotiation, each with a ladder.
    pub(crate) async fn negotiate(
        &mut self,
        alices: Si,
        fernands: Si,
    ) -> [Result<Opened, OpenError>; 2] {
        let (request, terms) = (self.request(), self.terms());
        let accept = async {
            let proposal = self.proposed(&fernands).await;
            fernands.accept(proposal, terms).await
        };
        let (opened, accepted) = tokio::join!(alices.open(request), accept);
        [opened, accepted]
    }

    /// Fernand accepts a request, which is not our kind's; Alice is played by the script, which
    /// begins with his answer.
    pub(crate) async fn accept(
        &mut self,
        si: Si,
        request: SiRequest,
        script: impl AsyncFnOnce(&Self, Element),
    ) -> Result<Opened, OpenError> {
        let terms = self.terms();
        let to = Some(fernand().into());
        let asked = self
            .alice
            .ask(to, Question::Set, request.into(), Patience::default());
        let answer = asked.await.unwrap();
        let proposal = self.proposed(&si).await;
        assert_eq!(proposal.kind, Kind::Other);
        let (accepted, ()) = tokio::join!(si.accept(proposal, terms), async {
            let answer = answer.await.unwrap().unwrap();
            script(self, answer).await;
        });
        accepted
    }

    /// Alice begins with a transport, by hand; gives what Fernand answered.
    pub(crate) async fn begin(&self, namespace: &str) -> Result<(), String> {
        let to = Some(fernand().into());
        let begin = begin(namespace, SID);
        let asked = self
            .alice
            .ask(to, Question::Set, begin, Patience::WhileAlive)
            .await;
        let answer = asked.unwrap().await;
        answer.map(drop).map_err(|why| why.to_string())
    }

    /// The namespaces of the transports that were begun, in order.
    pub(crate) fn begun(&self) -> Vec<String> {
        let said = self.hub.transcript();
        let payloads = said.iter().flat_map(|(_, stanza)| stanza.children());
        let begun = payloads.filter(|payload| payload.name() == "begin");
        begun
            .inspect(|payload| assert_eq!(payload.attr("sid"), Some(SID)))
            .map(Element::ns)
            .collect()
    }
}

pub(crate) fn proposal(reading: Reading) -> Proposal {
    match reading {
        Reading::Proposal(proposal) => *proposal,
        other => panic!("{other:?}"),
    }
}

/// A request as Gabble writes it, but for the methods.
pub(crate) fn gabbles_request(methods: &[&str]) -> SiRequest {
    let methods = methods.iter().map(|&method| method.to_owned()).collect();
    SiRequest {
        ours: false,
        ..SiRequest::new(SID, purpose(), methods)
    }
}

pub(crate) fn purpose() -> Element {
    let number = TubeNumber::new(7).unwrap();
    StreamFor {
        number,
        setting: Setting::Private,
    }
    .into()
}

pub(crate) fn alice() -> FullJid {
    FullJid::new("alice@example.org/desk").unwrap()
}

pub(crate) fn fernand() -> FullJid {
    FullJid::new("fernand@example.net/sofa").unwrap()
}

/// The label of what was opened, and what failed before.
pub(crate) fn outcome(result: &Result<Opened, OpenError>) -> (&'static str, Vec<&'static str>) {
    match result {
        Ok(opened) => {
            let failed = opened.attempts.iter().map(|tried| tried.transport);
            (opened.stream.label(), failed.collect())
        }
        Err(OpenError::Exhausted(tried)) => (
            "exhausted",
            tried.iter().map(|tried| tried.transport).collect(),
        ),
        Err(other) => panic!("{other}"),
    }
}

/// `<si/>` of an answer with `inner`.
pub(crate) fn answer(inner: &str) -> Element {
    format!("<si xmlns='{}'>{inner}</si>", ns::SI)
        .parse()
        .unwrap()
}

pub(crate) const SID: &str = "1795237055-2088789833";
