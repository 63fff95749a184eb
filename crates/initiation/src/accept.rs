//! The responder's side: answers, and follows the requester down the ladder.

use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;
use tubes_protocol::si::{Responder, ResponderAction, SiAnswer};
use tubes_protocol::transcript::Transcript;
use tubes_transport::{
    Bytestream, Gone, Inbound, OpenError, Opened, Plan, Proposal, Request, Role, Tried, Wire,
};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

use crate::ladder::{Failed, Ladder, attempt, exhausted, plan, stopped};

/// Accepts a proposal and opens its bytestream.
pub(crate) async fn accept(
    ladder: &Ladder,
    proposal: Proposal,
    request: Request,
) -> Result<Opened, OpenError> {
    let Proposal {
        ask,
        kind,
        multiple,
        transports,
        ..
    } = proposal;
    let request = Request {
        stream: proposal.stream,
        peer: proposal.peer,
        ..request
    };
    let known: Vec<_> = ladder.namespaces().collect();
    let responder = match Responder::new(&transports, multiple, &known) {
        Ok(responder) => responder,
        Err(why) => {
            ask.refuse(why.to_stanza_error());
            return Err(exhausted(Vec::new()));
        }
    };
    // Claimed before granted: the requester's first stanza may follow at once.
    let peer = request.peer.clone().into();
    let Some(wire) = request.stanzas.claim(peer, request.stream.clone()) else {
        ask.refuse_with(ErrorType::Cancel, DefinedCondition::Conflict);
        let why = "the stream's identifier is in use";
        return Err(OpenError::Protocol(why.to_owned()));
    };
    let plan = plan(&request, Role::Responder, kind);
    let (question, requester) = (ask.payload().clone(), request.peer.clone());
    let local = request.local.clone();
    let answer = answer(&responder, multiple, request);
    let transcript = Transcript::new(&requester, &local, &question, &answer);
    ask.grant(Some(answer));
    let mut descent = Descent {
        ladder,
        responder,
        wire,
        attempts: Vec::new(),
    };
    let mut stream = descent.run(plan).await?;
    descent.attempts.extend(stream.take_detours());
    Ok(Opened {
        stream,
        kind,
        extensions: Vec::new(),
        purpose: None,
        attempts: descent.attempts,
        transcript: transcript.into_bytes(),
    })
}

fn answer(responder: &Responder, multiple: bool, request: Request) -> Element {
    let answer = SiAnswer {
        methods: responder.methods().to_vec(),
        multiple,
        purpose: Some(request.purpose),
        ours: true,
        extensions: request.extensions,
    };
    debug!(methods = ?answer.methods, "accepted");
    answer.into()
}

/// The way down the ladder, in the requester's steps.
struct Descent<'a> {
    ladder: &'a Ladder,
    responder: Responder,
    wire: Wire,
    attempts: Vec<Tried>,
}

impl Descent<'_> {
    async fn run(&mut self, plan: Plan) -> Result<Bytestream, OpenError> {
        loop {
            let method = self.next_method().await?;
            // The machine names only what the ladder knows.
            let Some(rung) = self.ladder.rung(&method) else {
                return Err(exhausted(std::mem::take(&mut self.attempts)));
            };
            let failed = match attempt(rung, plan.clone(), &mut self.wire).await {
                Ok(stream) => return Ok(stream),
                Err(failed) => failed,
            };
            if let Failed::Prepare(why) = &failed
                && why.may_fall_back()
            {
                // Nobody has read what the requester began with, and it waits for an answer.
                self.refuse_next(DefinedCondition::NotAcceptable).await?;
            }
            let (transport, reason) = (rung.namespace(), failed.into_why());
            match self.responder.handle_failed(reason.may_fall_back()) {
                ResponderAction::Await => self.attempts.extend(reason.into_tried(transport)),
                ResponderAction::Stop => {
                    let tried = std::mem::take(&mut self.attempts);
                    return Err(stopped(reason, transport, tried));
                }
                _ => {
                    self.attempts.extend(reason.into_tried(transport));
                    return Err(exhausted(std::mem::take(&mut self.attempts)));
                }
            }
        }
    }

    /// Waits for the first stanza of a method and leaves it on the wire.
    ///
    /// Refuses what belongs to no method; that does not prolong the wait.
    async fn next_method(&mut self) -> Result<String, OpenError> {
        let deadline = Instant::now() + SILENCE;
        loop {
            let said = match tokio::time::timeout_at(deadline, self.wire.peek()).await {
                Ok(said) => said?.payload().ns(),
                Err(_) => return Err(self.silent()),
            };
            if let ResponderAction::Try(method) = self.responder.handle_stanza(&said) {
                return Ok(method);
            }
            debug!(namespace = said, "said out of turn");
            self.refuse_next(DefinedCondition::ItemNotFound).await?;
        }
    }

    async fn refuse_next(&mut self, condition: DefinedCondition) -> Result<(), Gone> {
        if let Inbound::Ask(ask) = self.wire.next().await? {
            ask.refuse_with(ErrorType::Cancel, condition);
        }
        Ok(())
    }

    /// The requester has given up without a word; what failed before says more than that.
    fn silent(&mut self) -> OpenError {
        if self.attempts.is_empty() {
            return OpenError::TimedOut("waiting for the peer to try a transport");
        }
        exhausted(std::mem::take(&mut self.attempts))
    }
}

/// For the requester to begin with a transport, after the answer and after each failure. It
/// speaks at once, unless it gave up: Stream Initiation has no way to say so.
const SILENCE: Duration = Duration::from_secs(60);
