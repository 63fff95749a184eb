//! The connection of one logged-in client: it reads, writes and waits for others' room at once.
//!
//! ```text
//!   socket ──► Pump ──► Hub::route ──► parcels ──► other clients' boxes
//!   socket ◄── Pump ◄── Outgoings (its own box)
//! ```
//!
//! While a parcel waits for room nothing is read; writing goes on, so that two busy clients
//! cannot wait for each other.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Sink, SinkExt, Stream};
use tokio::time;
use tokio_xmpp::{
    Stanza,
    xmlstream::{
        FallibleStreamElement, RawStanzaHeader, ReadError, StreamElementError, XmppStream,
        XmppStreamElement,
    },
};
use tracing::debug;
use xmpp_parsers::{
    iq::Iq,
    ping::Ping,
    stanza_error::{self, ErrorType},
    stream_error::DefinedCondition,
};

use super::{
    hub::{Hub, Me, Parcel},
    login::{Io, stream_error},
    outbox::Outgoings,
    route::stanza_error,
};

/// Serves a client until it goes, or has to go.
pub(super) async fn serve(hub: Arc<Hub>, stream: XmppStream<Io>, me: Me, outgoings: Outgoings) {
    let mut pump = Pump {
        hub,
        stream,
        me,
        outgoings,
        delivering: None,
        unflushed: false,
    };
    let end = loop {
        match poll_fn(|cx| pump.poll_step(cx)).await {
            Ok((item, size)) => {
                if let Some(end) = pump.handle(item, size) {
                    break end;
                }
            }
            Err(end) => break end,
        }
    };
    debug!(jid = %pump.me.jid, ?end, "client leaves");
    // Everybody learns of it first: telling the client may take a while.
    pump.hub.leave(&pump.me, pump.outgoings);
    let goodbye = say_goodbye(pump.stream, end);
    if !matches!(time::timeout(GOODBYE, goodbye).await, Ok(Ok(()))) {
        debug!(jid = %pump.me.jid, "client did not wait for the end of the stream");
    }
}

struct Pump {
    hub: Arc<Hub>,
    stream: XmppStream<Io>,
    me: Me,
    outgoings: Outgoings,
    delivering: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    unflushed: bool,
}

/// What was read, and how many bytes it took; `None` at the end of the connection.
type Read = (Option<Result<FallibleStreamElement, ReadError>>, usize);

#[derive(Debug)]
enum End {
    /// The client closed the stream.
    Closed,
    /// The connection broke.
    Lost,
    /// The server ends the stream.
    SentAway(DefinedCondition),
}

impl Pump {
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Read, End>> {
        if let Poll::Ready(Some(why)) = self.outgoings.poll_farewell(cx) {
            return Poll::Ready(Err(End::SentAway(why)));
        }
        if self.poll_write(cx).is_err() {
            return Poll::Ready(Err(End::Lost));
        }
        if let Some(delivering) = &mut self.delivering {
            match delivering.as_mut().poll(cx) {
                Poll::Ready(()) => self.delivering = None,
                Poll::Pending => return Poll::Pending,
            }
        }
        let item = match Pin::new(&mut self.stream).poll_next(cx) {
            Poll::Ready(item) => item,
            Poll::Pending => return Poll::Pending,
        };
        let meter = self.stream.get_stream();
        if meter.overrun() {
            let why = DefinedCondition::PolicyViolation;
            return Poll::Ready(Err(End::SentAway(why)));
        }
        let size = meter.lap();
        Poll::Ready(Ok((item, size)))
    }

    /// Writes as much as the client takes.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            let ready = Sink::<&Stanza>::poll_ready(Pin::new(&mut self.stream), cx)?;
            if ready.is_pending() {
                return Ok(());
            }
            match self.outgoings.poll_next(cx) {
                Poll::Ready(Some(outgoing)) => {
                    Pin::new(&mut self.stream).start_send(&*outgoing.stanza)?;
                    self.unflushed = true;
                }
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        if self.unflushed && Sink::<&Stanza>::poll_flush(Pin::new(&mut self.stream), cx)?.is_ready()
        {
            self.unflushed = false;
        }
        Ok(())
    }

    fn handle(
        &mut self,
        item: Option<Result<FallibleStreamElement, ReadError>>,
        size: usize,
    ) -> Option<End> {
        match item {
            Some(Ok(FallibleStreamElement::Ok(XmppStreamElement::Stanza(stanza)))) => {
                self.deliver(self.hub.route(&self.me, stanza, size));
                None
            }
            Some(Ok(FallibleStreamElement::Ok(XmppStreamElement::StreamError(_)))) => {
                Some(End::Closed)
            }
            Some(Ok(FallibleStreamElement::Err(StreamElementError::InvalidStanza {
                header,
                ..
            }))) => {
                self.refuse(header);
                None
            }
            Some(Ok(_) | Err(ReadError::ParseError(_))) => {
                Some(End::SentAway(DefinedCondition::UnsupportedStanzaType))
            }
            Some(Err(ReadError::SoftTimeout)) => {
                let ping = Iq::from_get(format!("ping-{:x}", rand::random::<u64>()), Ping)
                    .with_from(self.hub.domain().clone().into())
                    .with_to(self.me.jid.clone().into());
                self.me.outbox.post(ping);
                None
            }
            Some(Err(ReadError::StreamFooterReceived)) => Some(End::Closed),
            Some(Err(ReadError::HardError(error)))
                if error.kind() == io::ErrorKind::InvalidData =>
            {
                Some(End::SentAway(DefinedCondition::NotWellFormed))
            }
            Some(Err(ReadError::HardError(_))) | None => Some(End::Lost),
        }
    }

    /// Puts parcels into their boxes, now or as soon as there is room.
    fn deliver(&mut self, parcels: Vec<Parcel>) {
        let mut waiting = Vec::new();
        for parcel in parcels {
            let Parcel {
                outbox,
                stanza,
                size,
            } = parcel;
            if let Err(stanza) = outbox.offer(stanza, size) {
                waiting.push(Parcel {
                    outbox,
                    stanza,
                    size,
                });
            }
        }
        if waiting.is_empty() {
            return;
        }
        let hub = Arc::clone(&self.hub);
        self.delivering = Some(Box::pin(async move {
            for parcel in waiting {
                let delivered = parcel.outbox.deliver(parcel.stanza, parcel.size).await;
                if let Err(stanza) = delivered {
                    hub.bounce(&stanza);
                }
            }
        }));
    }

    /// Answers a question that could not be read (RFC 6120 §8.3.3.1).
    fn refuse(&mut self, header: RawStanzaHeader) {
        let asked = matches!(header.type_.as_deref(), Some("get" | "set"));
        let Some(id) = header.id.filter(|_| asked) else {
            return;
        };
        let condition = stanza_error::DefinedCondition::BadRequest;
        let answer = Iq::from_error(id, stanza_error(ErrorType::Modify, condition))
            .with_to(self.me.jid.clone().into());
        self.deliver(vec![Parcel::small(&self.me, answer.into())]);
    }
}

async fn say_goodbye(mut stream: XmppStream<Io>, end: End) -> io::Result<()> {
    match end {
        End::Lost => return Ok(()),
        End::Closed => {}
        End::SentAway(why) => stream.send(&stream_error(why)).await?,
    }
    stream.shutdown().await
}

/// How long a client is given to take the end of its stream.
const GOODBYE: Duration = Duration::from_secs(1);
