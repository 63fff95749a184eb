//! The one task that owns the connection.
//!
//! tokio-xmpp 6.0.0 loses wake-ups when its stream is split, so nothing is split: this task
//! keeps fewer unsent stanzas than the stream's queue holds, so that sending never blocks, and
//! one `select!` serves both directions. What a stanza means is the [`Router`]'s business.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, timeout};
use tokio_xmpp::Stanza;
use tokio_xmpp::stanzastream::{
    Event, StanzaStage, StanzaState, StanzaStream, StanzaToken, StreamEvent,
};
use tubes_transport::{Outbound, Outbox};
use xmpp_parsers::jid::{BareJid, Jid};
use xmpp_parsers::presence::{Presence, Type};

use crate::event::{Link, Login, SessionEvent};
use crate::identity::Identity;
use crate::inquiry::Inquiry;
use crate::reconnect::Notice;
use crate::router::{Router, Subscribe};

/// Moves stanzas between the connection and the router.
pub(crate) struct Pump {
    pub(crate) stream: StanzaStream,
    pub(crate) router: Router,
    pub(crate) outbox: Outbox,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) notices: mpsc::Receiver<Notice>,
    pub(crate) events: mpsc::Sender<SessionEvent>,
    pub(crate) login: Login,
    /// What was handed to the stream and is not sent yet, oldest first.
    pub(crate) unsent: VecDeque<StanzaToken>,
    pub(crate) phase: Phase,
    /// When peers that owe answers are looked at next.
    pub(crate) tick: Interval,
}

/// Whether the stream carries anything at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Flowing,
    Suspended,
}

/// What the session's owner wants.
#[derive(Debug)]
pub(crate) enum Command {
    Advertise(Vec<String>),
    Close(oneshot::Sender<()>),
    Consent(BareJid, Subscribe),
    Inquire(Inquiry),
}

impl Pump {
    /// Runs until the session is closed or lost for good.
    pub(crate) async fn run(mut self) {
        self.router
            .handle_reset(self.login.jid.clone(), Instant::now());
        self.router
            .report(SessionEvent::Link(Link::Reset(self.login.clone())));
        loop {
            match self.step().await {
                Step::Again => {}
                Step::Close(done) => {
                    self.close().await;
                    // The owner may have stopped waiting.
                    let _ = done.send(());
                    return;
                }
                Step::End => {
                    self.router.handle_lost();
                    self.outbox.clear();
                    self.report_rest().await;
                    return;
                }
            }
        }
    }

    async fn step(&mut self) -> Step {
        self.unsent
            .retain(|token| matches!(token.state(), StanzaState::Queued));
        let flowing = self.phase == Phase::Flowing;
        let room = self.unsent.len() < DEPTH - 1 && flowing;
        if room && let Some(stanza) = self.router.take_out() {
            self.send(stanza).await;
            return Step::Again;
        }
        let wake = self.router.next_deadline();
        tokio::select! {
            permit = self.events.clone().reserve_owned(), if self.router.has_events() => match permit {
                Ok(permit) => {
                    if let Some(event) = self.router.take_event() {
                        drop(permit.send(event));
                    }
                }
                // Nobody listens any more: the owner is gone without a word.
                Err(_) => return Step::End,
            },
            event = self.stream.next(), if self.router.is_idle() => match event {
                Some(event) => self.handle_event(event),
                None => return Step::End,
            },
            Some(outbound) = self.outbox.next(), if room => self.say(outbound).await,
            command = self.commands.recv() => match command {
                Some(Command::Close(done)) => return Step::Close(done),
                Some(command) => self.handle_command(command),
                None => return Step::End,
            },
            Some(notice) = self.notices.recv() => return self.handle_notice(notice),
            () = sent(&mut self.unsent), if !self.unsent.is_empty() => {}
            // While nothing can be heard, nobody is late.
            () = sleep_until(wake), if flowing => self.router.handle_timeout(Instant::now()),
            // A timer of its own: one set anew at each stanza would never go off under traffic.
            _ = self.tick.tick(), if flowing => self.router.handle_timeout(Instant::now()),
        }
        Step::Again
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Stanza(stanza) => self.router.handle_stanza(stanza, Instant::now()),
            Event::Stream(StreamEvent::Reset { bound_jid, .. }) => self.handle_reset(bound_jid),
            Event::Stream(StreamEvent::Resumed) => {
                self.phase = Phase::Flowing;
                self.router.handle_resumed(Instant::now());
                self.router
                    .report(SessionEvent::Link(Link::Resumed(self.login.clone())));
            }
            Event::Stream(StreamEvent::Suspended) => self.phase = Phase::Suspended,
        }
    }

    fn handle_reset(&mut self, bound: Jid) {
        // What waits for the lost session must not be said in the new one. (tokio-xmpp itself
        // keeps up to a queue's depth and does say it: it is about streams that are gone, and
        // refused.)
        self.router.handle_lost();
        self.outbox.clear();
        self.phase = Phase::Flowing;
        if let Ok(jid) = bound.try_into_full() {
            self.login.jid = jid;
        }
        self.router
            .handle_reset(self.login.jid.clone(), Instant::now());
        self.router
            .report(SessionEvent::Link(Link::Reset(self.login.clone())));
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Advertise(features) => self.router.handle_identity(Identity::new(features)),
            Command::Consent(contact, subscribe) => {
                self.router
                    .handle_consent(contact, subscribe, Instant::now());
            }
            Command::Inquire(inquiry) => inquiry.answer(&self.login, &self.router),
            Command::Close(_) => {}
        }
    }

    fn handle_notice(&mut self, notice: Notice) -> Step {
        match notice {
            Notice::Connected { server, tls, terms } => {
                self.login.terms = terms;
                self.login.server = server;
                self.login.tls = tls;
                Step::Again
            }
            Notice::Down(error) => {
                // It is the last thing there is to report.
                self.router.handle_lost();
                self.router.report(SessionEvent::Link(Link::Down(error)));
                Step::End
            }
            Notice::Retrying { reason, retry_in } => {
                self.router
                    .report(SessionEvent::Link(Link::Suspended { reason, retry_in }));
                Step::Again
            }
        }
    }

    async fn say(&mut self, outbound: Outbound) {
        if outbound.is_abandoned() {
            return;
        }
        let stanza = self.router.handle_outbound(outbound, Instant::now());
        self.send(stanza).await;
    }

    async fn send(&mut self, stanza: Stanza) {
        self.unsent
            .push_back(self.stream.send(Box::new(stanza)).await);
    }

    /// Says what is still to be said, takes leave, and waits for the server to take note.
    async fn close(mut self) {
        if self.phase == Phase::Flowing {
            // Whoever has something to say may still do so until here, within reason.
            let _ = timeout(FLUSH, self.flush()).await;
            self.send(Presence::new(Type::Unavailable).into()).await;
        }
        self.router.handle_lost();
        self.outbox.clear();
        let _ = timeout(LEAVE, self.stream.close()).await;
    }

    async fn flush(&mut self) {
        loop {
            while let Some(stanza) = self.router.take_out() {
                self.make_room().await;
                self.send(stanza).await;
            }
            let Some(outbound) = self.outbox.try_next() else {
                return;
            };
            self.make_room().await;
            self.say(outbound).await;
        }
    }

    async fn make_room(&mut self) {
        while self.unsent.len() >= DEPTH - 1 {
            sent(&mut self.unsent).await;
        }
    }

    async fn report_rest(mut self) {
        while let Some(event) = self.router.take_event() {
            if self.events.send(event).await.is_err() {
                return;
            }
        }
    }
}

/// Waits until the oldest stanza is sent, or failed, and forgets it. Cancel safe.
async fn sent(unsent: &mut VecDeque<StanzaToken>) {
    if let Some(oldest) = unsent.front_mut() {
        oldest.wait_for(StanzaStage::Sent).await;
        unsent.pop_front();
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}

/// Goes off every [`TICK`].
pub(crate) fn tick() -> Interval {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

enum Step {
    Again,
    Close(oneshot::Sender<()>),
    End,
}

/// Depth of the stream's queues. Small, so that what is urgent is soon sent.
pub(crate) const DEPTH: usize = 16;

/// How often peers that owe answers are looked at.
const TICK: Duration = Duration::from_secs(10);

/// Time for what is still to be said when closing.
const FLUSH: Duration = Duration::from_millis(700);

/// Time for the server to take note of the end.
const LEAVE: Duration = Duration::from_millis(700);
