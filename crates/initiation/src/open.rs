//! The requester's side: asks, and walks the ladder in the order of the answer.

use tracing::debug;
use tubes_protocol::si::{Requester, RequesterAction, SiAnswer, SiError, SiRequest};
use tubes_protocol::transcript::Transcript;
use tubes_transport::{AskError, Gone, OpenError, Opened, Question, Request, Role, Wire};
use xmpp_parsers::minidom::Element;

use crate::kind;
use crate::ladder::{Ladder, attempt, exhausted, plan, stopped};

/// Asks the peer for a bytestream and opens it.
pub(crate) async fn open(ladder: &Ladder, request: Request) -> Result<Opened, OpenError> {
    // Claimed before anything is said, so that nothing the peer says can get lost.
    let mut wire = request
        .stanzas
        .claim(request.peer.clone().into(), request.stream.clone())
        .ok_or_else(|| OpenError::Protocol("the stream's identifier is in use".to_owned()))?;
    let mut requester = Requester::new(ladder.namespaces());
    let (answer, transcript) = tokio::select! {
        biased;
        // First, lest a question that waited for its turn is put into the next session.
        gone = hung_up(&mut wire) => return Err(gone.into()),
        said = ask(ladder, &request) => said?,
    };
    debug!(methods = ?answer.methods, ours = answer.ours, "accepted by the peer");
    let kind = kind(answer.ours);
    let mut attempts = Vec::new();
    let mut action = requester.handle_answer(&answer);
    loop {
        let RequesterAction::Try(method) = action else {
            return Err(exhausted(attempts));
        };
        // The machine names only what the ladder offered.
        let Some(rung) = ladder.rung(&method) else {
            return Err(exhausted(attempts));
        };
        let transport = rung.namespace();
        let plan = plan(&request, Role::Requester, kind);
        let reason = match attempt(rung, plan, &mut wire).await {
            Ok(mut stream) => {
                attempts.extend(stream.take_detours());
                return Ok(Opened {
                    stream,
                    kind,
                    extensions: answer.extensions,
                    purpose: answer.purpose,
                    attempts,
                    transcript,
                });
            }
            Err(failed) => failed.into_why(),
        };
        action = requester.handle_failed(reason.may_fall_back());
        if action == RequesterAction::Stop {
            return Err(stopped(reason, transport, attempts));
        }
        attempts.extend(reason.into_tried(transport));
    }
}

/// Sends the request and reads the answer; what was said by both.
async fn ask(ladder: &Ladder, request: &Request) -> Result<(SiAnswer, Vec<u8>), OpenError> {
    let profile = request.purpose.ns();
    let mut si = SiRequest::new(
        request.stream.as_str(),
        request.purpose.clone(),
        ladder.namespaces().map(str::to_owned).collect(),
    );
    si.extensions.clone_from(&request.extensions);
    let to = Some(request.peer.clone().into());
    let si = Element::from(si);
    let asked = request
        .stanzas
        .ask(to, Question::Set, si.clone(), request.patience);
    let answer = match asked.await?.await {
        Ok(Some(answer)) => answer,
        Ok(None) => return Err(OpenError::Protocol("an empty answer".to_owned())),
        Err(AskError::Refused(why)) if SiError::is_no_valid_streams(&why) => {
            return Err(exhausted(Vec::new()));
        }
        Err(why) => return Err(why.into()),
    };
    let transcript = Transcript::new(&request.local, &request.peer, &si, &answer);
    let answer = SiAnswer::read(&answer, &profile);
    let answer = answer.map_err(|why| OpenError::Protocol(why.to_string()))?;
    Ok((answer, transcript.into_bytes()))
}

/// Waits for the end of the wire; what the peer says too early stays in it.
async fn hung_up(wire: &mut Wire) -> Gone {
    match wire.peek().await {
        Ok(_) => std::future::pending().await,
        Err(gone) => gone,
    }
}
