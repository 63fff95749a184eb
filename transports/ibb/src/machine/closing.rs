//! How a stream ends, and how it breaks.

use tubes_transport::{Gone, Kind};
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::Fault;
use crate::element::Speech;
use crate::inbound::BadData;
use crate::machine::{Machine, Owner, Ticket};
use crate::outbound::Phase;

impl<T: Ticket> Machine<T> {
    /// Nobody reads or writes any more. If that is too early, the stream breaks.
    pub fn release(&mut self) {
        self.owner = Owner::Nobody;
        self.progress += 1;
        let was_flowing = self.inbound.is_flowing();
        let is_read_out = self.inbound.is_read_out();
        match self.outbound.phase() {
            // All is well: what was written goes on its way.
            Phase::Closing | Phase::Saying if is_read_out => return,
            Phase::Closed | Phase::Cut | Phase::Broken(_) if !was_flowing => {}
            _ if self.farewell.is_held() => self.outbound.break_off(Fault::Closed),
            _ => self.break_off(Fault::Closed, Fault::Closed),
        }
        self.refuse_held();
        for ticket in self.inbound.release() {
            let condition = DefinedCondition::ItemNotFound;
            self.due.push_back((ticket, Err(condition)));
        }
    }

    /// A block was refused, by the peer or on the way.
    pub fn handle_refused(&mut self) {
        match self.outbound.phase() {
            Phase::Cut => self.outbound.break_off(Fault::Closed),
            Phase::Closed | Phase::Broken(_) => {}
            _ => self.break_off(Fault::Refused, Fault::Refused),
        }
    }

    /// A close or an abort that was handed out is on its way.
    pub fn handle_said(&mut self) {
        self.outbound.set_closed();
        self.farewell.handle_said();
    }

    /// Our close was answered: granted or refused.
    pub fn handle_close_answered(&mut self, granted: Result<(), ()>) {
        self.progress += 1;
        self.farewell.handle_answered();
        match granted {
            // XEP-0047 §2.3: the answer comes when the peer has sent its remaining data.
            Ok(()) => self.inbound.end(),
            Err(()) => self.inbound.break_off(Fault::Aborted),
        }
    }

    /// The session or the peer went away.
    pub fn handle_gone(&mut self, gone: Gone) {
        self.inbound.break_off(Fault::Gone(gone.clone()));
        self.outbound.break_off(Fault::Gone(gone));
        self.refuse_held();
        self.farewell.give_up();
    }

    pub(super) fn handle_close(&mut self, ticket: Option<T>) {
        self.progress += 1;
        self.farewell.handle_heard();
        self.inbound.end();
        if self.kind == Kind::Other {
            self.outbound.cut();
            self.due.extend(ticket.map(|ticket| (ticket, Ok(()))));
            return;
        }
        match (self.outbound.phase(), ticket) {
            (_, None) => {}
            (Phase::Flowing | Phase::Closing, Some(ticket)) if !self.farewell.is_held() => {
                self.farewell.hold(ticket);
                self.grant_held();
            }
            // Said twice, or doubled on the way: a result for either would make the peer take
            // what it has heard so far for all.
            (Phase::Flowing | Phase::Closing, Some(ticket)) => {
                let condition = DefinedCondition::UnexpectedRequest;
                self.due.push_back((ticket, Err(condition)));
            }
            // Our own data was cut short: a result would make the peer take it for complete.
            (Phase::Broken(_), Some(ticket)) => {
                let condition = DefinedCondition::ItemNotFound;
                self.due.push_back((ticket, Err(condition)));
            }
            (_, Some(ticket)) => self.due.push_back((ticket, Ok(()))),
        }
    }

    pub(super) fn handle_abort(&mut self) {
        self.progress += 1;
        self.inbound.break_off(Fault::Aborted);
        self.outbound.break_off(Fault::Aborted);
        self.farewell.handle_heard();
        let held = self.farewell.take_held();
        self.due.extend(held.map(|ticket| (ticket, Ok(()))));
        self.farewell.give_up();
    }

    pub(super) fn handle_bad(&mut self, bad: BadData) {
        let fault = Fault::Violated(bad.words());
        self.break_off(fault.clone(), fault);
    }

    /// Breaks both halves off, as far as they are not over, and tells the peer.
    pub(super) fn break_off(&mut self, reader: Fault, writer: Fault) {
        self.inbound.break_off(reader);
        self.outbound.break_off(writer);
        self.refuse_held();
        match self.kind {
            Kind::Ours => self.farewell.say(Speech::Abort),
            // To others the close that was said once means everything.
            Kind::Other if self.farewell.is_unsaid() => self.farewell.say(Speech::Close),
            Kind::Other => {}
        }
    }

    /// Once everything is sent, the answer that was held says so.
    pub(super) fn grant_held(&mut self) {
        let done =
            *self.outbound.phase() == Phase::Closing && self.outbound.is_flushed() == Ok(true);
        if done && let Some(ticket) = self.farewell.take_held() {
            self.outbound.set_closed();
            self.due.push_back((ticket, Ok(())));
        }
    }

    pub(super) fn refuse_held(&mut self) {
        let condition = DefinedCondition::ItemNotFound;
        let held = self.farewell.take_held();
        self.due.extend(held.map(|ticket| (ticket, Err(condition))));
    }
}
