//! An attempt that comes to nothing leaves everything to the next one.

use tubes_transport::{
    AskError, Bytestream, ConnectError, Inbound, Patience, Question, Role, Voice, Wire,
};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

use crate::compliance::Breach;
use crate::compliance::bench::{Bench, Wires, address, other};
use crate::compliance::carrying::exchange;
use crate::compliance::leaving::Holdings;

/// Prepares, and gives it up again.
pub(crate) async fn in_silence(bench: &Bench, role: Role) -> Result<(), Breach> {
    let holdings = Holdings::count()?;
    let wires = bench.wires(STREAM)?;
    let preparing = bench.transport(role).prepare(bench.plan(role, STREAM));
    let prepared = bench.within("preparing", preparing).await?;
    let attempt = prepared.map_err(|why| Breach::Connect { role, why })?;
    pass_marks(bench, role, wires).await?;
    drop(attempt);
    let said = bench.hub.transcript().into_iter();
    let said: Vec<_> = said
        .filter(|(_, stanza)| !stanza.children().any(|child| child.has_ns(MARK)))
        .collect();
    if let Some((from, stanza)) = said.first() {
        let stanza = String::from(stanza);
        return Err(Breach::Spoke(format!("{from} while preparing: {stanza}")));
    }
    holdings.must_be_free(bench, STREAM).await
}

/// Says a mark on both lanes and waits for it: what was said before has passed then.
async fn pass_marks(bench: &Bench, role: Role, wires: Wires) -> Result<(), Breach> {
    let (near, mut far) = wires.seen_by(role);
    let to = address(other(role)).into();
    let lanes = async {
        bench.stanzas(role).tell(to, vec![mark(STREAM)]).await?;
        near.voice().tell(mark(STREAM)).await?;
        far.next().await?;
        far.next().await
    };
    let passed = bench.within("marks passed", lanes).await?;
    passed.map_err(gone)?;
    Ok(())
}

/// The requester is refused; then both sides try again on the same wires.
pub(crate) async fn refused(bench: &Bench, _role: Role) -> Result<(), Breach> {
    let mut wires = bench.wires(STREAM)?;
    let refusing = async {
        tokio::select! {
            outcome = bench.connect(Role::Requester, &mut wires.requester) => outcome,
            gone = refuse_all(&mut wires.responder) => Err(gone),
        }
    };
    must_fail(bench.within("being refused", refusing).await?)?;
    let told = wires.responder.voice().tell(mark(STREAM)).await;
    told.map_err(gone)?;
    must_be_next(bench, &mut wires.requester).await?;
    let ends = bench.open_over(&mut wires).await?;
    exchange(bench, ends.requester, ends.responder, 3000).await
}

async fn refuse_all(wire: &mut Wire) -> ConnectError {
    loop {
        match wire.next().await {
            Ok(Inbound::Ask(ask)) => {
                ask.refuse_with(ErrorType::Cancel, DefinedCondition::NotAcceptable);
            }
            Ok(_) => {}
            Err(gone) => return gone.into(),
        }
    }
}

/// The peer turns to another transport: what it says is still there for that one.
pub(crate) async fn not_its_own(bench: &Bench, _role: Role) -> Result<(), Breach> {
    let mut wires = bench.wires(STREAM)?;
    let voice = wires.requester.voice();
    let responding = async {
        tokio::select! {
            outcome = bench.connect(Role::Responder, &mut wires.responder) => outcome,
            () = insist(&voice) => Err(ConnectError::Protocol("refused the mark".to_owned())),
        }
    };
    must_fail(bench.within("another transport speaks", responding).await?)?;
    must_be_next(bench, &mut wires.responder).await
}

/// The wire still hears, and the mark is what it hears next.
async fn must_be_next(bench: &Bench, wire: &mut Wire) -> Result<(), Breach> {
    match bench.within("listening to the wire", wire.next()).await {
        Ok(Ok(said)) if *said.payload() == mark(STREAM) => Ok(()),
        _ => Err(Breach::Swallowed),
    }
}

/// Asks what only another transport understands, and returns if that was refused.
async fn insist(voice: &Voice) {
    let answer = voice
        .ask(Question::Set, mark(STREAM), Patience::WhileAlive)
        .await;
    if let Ok(answer) = answer
        && let Err(AskError::Refused(_)) = answer.await
    {
        return;
    }
    std::future::pending().await
}

fn must_fail(outcome: Result<Bytestream, ConnectError>) -> Result<(), Breach> {
    match outcome {
        Ok(_) => Err(Breach::Opened("the peer did not want it")),
        Err(why) if why.may_fall_back() => Ok(()),
        Err(why) => Err(Breach::Stopped(why)),
    }
}

fn gone(gone: tubes_transport::Gone) -> Breach {
    Breach::Stopped(gone.into())
}

/// What another transport says of a stream; the one under test does not know it.
pub(crate) fn mark(stream: &str) -> Element {
    Element::builder("mark", MARK)
        .attr(xml_ncname!("sid").to_owned(), stream)
        .build()
}

const MARK: &str = "urn:x-tubes:testkit:another-transport";

const STREAM: &str = "attempted";
