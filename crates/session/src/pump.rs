//! The one task that owns the connection.
//!
//! tokio-xmpp 6.0.0 loses wake-ups when its stream is split, so nothing is split: this task
//! keeps fewer unsent stanzas than the stream's queue holds, so that sending never blocks, and
//! one `select!` serves both directions. What a stanza means is the [`Router`]'s business.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, timeout};
use tokio_xmpp::Stanza;
use tokio_xmpp::stanzastream::{Event, StreamEvent};
use tubes_transport::{Lane, Outbound, Outbox};
use xmpp_parsers::jid::BareJid;
use xmpp_parsers::presence::{Presence, Type};

use crate::continuity::{Continuity, Verdict};
use crate::event::{Link, Login, SessionEvent, StreamManagement};
use crate::flight::{self, Flight};
use crate::identity::Identity;
use crate::inquiry::Inquiry;
use crate::reconnect::{Notice, Reconnector, Stream};
use crate::router::{Router, Subscribe};
use crate::tcp::Pulse;

/// Moves stanzas between the connection and the router.
pub(crate) struct Pump {
    pub(crate) stream: Stream,
    pub(crate) reconnector: Reconnector,
    pub(crate) router: Router,
    pub(crate) outbox: Outbox,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) notices: mpsc::Receiver<Notice>,
    pub(crate) events: mpsc::Sender<SessionEvent>,
    pub(crate) login: Login,
    /// What was handed to the stream and is not with the server yet.
    pub(crate) flight: Flight,
    /// Whether what is said takes long to reach the server.
    pub(crate) is_clogged: bool,
    pub(crate) continuity: Continuity,
    /// When the server was last heard.
    pub(crate) pulse: Pulse,
    /// When peers that owe answers are looked at next.
    pub(crate) tick: Interval,
}

/// What the session's owner wants, and who is told that it is so.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) command: Command,
    pub(crate) done: oneshot::Sender<()>,
}

/// What the session's owner wants.
#[derive(Debug)]
pub(crate) enum Command {
    Abandon(BareJid),
    Advertise(Vec<String>),
    Attend(BareJid),
    Close,
    Consent(BareJid, Subscribe),
    Forsake(BareJid),
    Inquire(Inquiry),
    Present(Presence),
    Share,
}

impl Pump {
    /// Runs until the session is closed or lost for good.
    pub(crate) async fn run(mut self) {
        self.begin();
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
                    report_rest(self.orders, self.router, self.events).await;
                    return;
                }
            }
        }
    }

    async fn step(&mut self) -> Step {
        self.settle();
        let flowing = self.continuity.is_flowing();
        let room = flowing && self.flight.has_room();
        if room && let Some(stanza) = self.router.take_out() {
            self.send(stanza).await;
            return Step::Again;
        }
        let wake = self.next_wake();
        let widest = self.flight.widest();
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
            // News of the link do not wait for anybody. (What else comes then is little.)
            event = self.stream.next(), if self.router.is_idle() || !flowing => match event {
                Some(event) => self.handle_event(event),
                None => {
                    let verdict = self.continuity.handle_ended();
                    self.judge(verdict);
                }
            },
            Some((lane, outbound)) = self.outbox.next_up_to(widest), if room => {
                self.say(lane, outbound).await;
            }
            order = self.orders.recv() => match order {
                Some(Order { command: Command::Close, done }) => return Step::Close(done),
                Some(order) => self.handle_order(order),
                None => return Step::End,
            },
            Some(notice) = self.notices.recv() => return self.handle_notice(notice),
            excess = self.router.excess(), if self.router.is_idle() => self.router.report(excess),
            () = self.flight.progress() => {}
            () = sleep_until(wake) => self.handle_timeout(Instant::now()),
            // A timer of its own: one set anew at each stanza would never go off under traffic.
            _ = self.tick.tick(), if flowing => self.handle_timeout(Instant::now()),
        }
        Step::Again
    }

    fn settle(&mut self) {
        let arrived = self.flight.settle(Instant::now());
        if arrived.count > 0 {
            self.continuity.handle_acked();
        }
        if let Some(bytes_per_second) = arrived.rate {
            let throttled = Link::Throttled { bytes_per_second };
            self.router.report(SessionEvent::Link(throttled));
        }
        let now = Instant::now();
        let is_late = self.flight.is_late(now);
        if self.is_clogged && !is_late {
            self.router.handle_unclogged(now);
        }
        self.is_clogged = is_late;
    }

    fn next_wake(&self) -> Option<Instant> {
        // While nothing can be heard, or what is said does not arrive, nobody is late.
        let attentive = self.continuity.is_flowing() && !self.is_clogged;
        let deadline = self.router.next_deadline().filter(|_| attentive);
        let timeout = self.continuity.next_timeout(self.flight.oldest());
        let write_off = self.flight.next_write_off();
        [deadline, timeout, write_off].into_iter().flatten().min()
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Stanza(stanza) => self.router.handle_stanza(stanza, Instant::now()),
            Event::Stream(StreamEvent::Reset {
                bound_jid,
                features,
            }) => {
                self.continuity
                    .handle_reset(StreamManagement::of(&features));
                if let Ok(jid) = bound_jid.try_into_full() {
                    self.login.jid = jid;
                }
                // tokio-xmpp keeps up to a queue's depth of what waited, and says it in the new
                // session: it is about streams that are gone, and refused.
                self.lose();
                self.begin();
            }
            Event::Stream(StreamEvent::Resumed) => {
                // What the server had before the pause proves nothing.
                self.settle();
                self.flight.handle_resumed(Instant::now());
                self.continuity.handle_resumed(self.flight.owed());
                self.router.handle_resumed(Instant::now());
                self.router
                    .report(SessionEvent::Link(Link::Resumed(self.login.clone())));
            }
            Event::Stream(StreamEvent::Suspended) => {
                self.flight.handle_suspended();
                let verdict = self.continuity.handle_suspended(self.pulse.last());
                self.judge(verdict);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.continuity.is_flowing() && !self.flight.is_late(now) {
            self.router.handle_timeout(now);
        }
        let verdict = self.continuity.handle_timeout(self.flight.oldest(), now);
        self.judge(verdict);
    }

    fn judge(&mut self, verdict: Verdict) {
        if verdict == Verdict::Abandon {
            tracing::warn!("the session is lost, with all that hung on it");
            self.lose();
            self.flight = Flight::new();
            // A stream that knows nothing of it: or the server could yet resume what has ended.
            self.stream = self.reconnector.fresh_stream();
        }
    }

    /// What waits for the lost session must not be said in the next one.
    fn lose(&mut self) {
        self.router.handle_lost();
        self.outbox.clear();
        self.flight.handle_reset();
    }

    /// A new session.
    fn begin(&mut self) {
        self.router
            .handle_reset(self.login.jid.clone(), Instant::now());
        self.router
            .report(SessionEvent::Link(Link::Reset(self.login.clone())));
    }

    fn handle_order(&mut self, Order { command, done }: Order) {
        match command {
            Command::Advertise(features) => self.router.handle_identity(Identity::new(features)),
            Command::Consent(contact, subscribe) => {
                self.router
                    .handle_consent(contact, subscribe, Instant::now());
            }
            Command::Abandon(room) => self.router.handle_abandon(&room),
            Command::Attend(room) => self.router.handle_attend(room),
            Command::Forsake(room) => self.router.handle_forsake(&room),
            Command::Present(presence) => self.router.handle_present(presence),
            Command::Share => self.router.handle_share(),
            Command::Inquire(inquiry) => inquiry.answer(&self.login, &self.router),
            Command::Close => {}
        }
        // Who ordered it may have lost interest.
        let _ = done.send(());
    }

    fn handle_notice(&mut self, notice: Notice) -> Step {
        match notice {
            Notice::Connected {
                server,
                tls,
                pulse,
                terms,
            } => {
                self.login.terms = terms;
                self.login.server = server;
                self.login.tls = tls;
                self.pulse = pulse;
                self.continuity.handle_connected(Instant::now());
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

    async fn say(&mut self, lane: Lane, outbound: Outbound) {
        if outbound.is_abandoned() {
            return;
        }
        let stanza = self.router.handle_outbound(outbound, Instant::now());
        self.hand_over(lane, stanza).await;
    }

    async fn send(&mut self, stanza: Stanza) {
        self.hand_over(Lane::Urgent, stanza).await;
    }

    async fn hand_over(&mut self, lane: Lane, stanza: Stanza) {
        let bytes = flight::size(&stanza);
        let token = self.stream.send(Box::new(stanza)).await;
        self.flight.handle_sent(token, lane, bytes, Instant::now());
    }

    /// Says what is still to be said, takes leave, and waits for the server to take note.
    async fn close(mut self) {
        if self.continuity.is_flowing() {
            // Whoever has something to say may still do so until here, within reason.
            let _ = timeout(FLUSH, self.flush()).await;
            self.send(Presence::new(Type::Unavailable).into()).await;
        }
        self.router.handle_lost();
        self.outbox.clear();
        if self.continuity.is_flowing() {
            let _ = timeout(LEAVE, self.stream.close()).await;
        }
    }

    async fn flush(&mut self) {
        loop {
            while let Some(stanza) = self.router.take_out() {
                self.flight.room().await;
                self.send(stanza).await;
            }
            let Some(outbound) = self.outbox.try_next() else {
                return;
            };
            self.flight.room().await;
            self.say(Lane::Bulk, outbound).await;
        }
    }
}

/// Says how a lost session ended. Orders are obeyed no more: whoever waits for one may be whom this is said to.
async fn report_rest(
    orders: mpsc::Receiver<Order>,
    mut router: Router,
    events: mpsc::Sender<SessionEvent>,
) {
    drop(orders);
    while let Some(event) = router.take_event() {
        if events.send(event).await.is_err() {
            return;
        }
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

/// How often peers that owe answers are looked at.
const TICK: Duration = Duration::from_secs(10);

/// Time for what is still to be said when closing.
const FLUSH: Duration = Duration::from_millis(700);

/// Time for the server to take note of the end.
const LEAVE: Duration = Duration::from_millis(700);

#[cfg(test)]
mod tests;
