//! What an occupant's presence looks like to another one.

use tokio_xmpp::Stanza;
use xmpp_parsers::{
    jid::FullJid,
    minidom::{Element, element::ElementBuilder, rxml::xml_ncname},
    muc::user::{Affiliation, Role, Status},
    ns,
    presence::{Presence, Type},
};

use super::{
    room::{Occupant, Room},
    rules::Whois,
};

/// A presence that all are told of, and why.
#[derive(Debug)]
pub(super) struct Notice {
    presence: Presence,
    affiliation: Affiliation,
    role: Role,
    nick: Option<String>,
    reason: Option<String>,
    /// What all learn, and what only the occupant himself learns.
    status: Vec<Status>,
    own: Vec<Status>,
}

impl Notice {
    /// An occupant is there, and shows this.
    pub(super) fn of(occupant: &Occupant, rank: (Affiliation, Role)) -> Self {
        Self::new(occupant.shown.clone(), rank)
    }

    /// An occupant has gone, with these last words.
    pub(super) fn gone(words: &Presence, affiliation: Affiliation) -> Self {
        let mut presence = shown(words);
        presence.type_ = Type::Unavailable;
        Self::new(presence, (affiliation, Role::None))
    }

    fn new(presence: Presence, (affiliation, role): (Affiliation, Role)) -> Self {
        Self {
            presence,
            affiliation,
            role,
            nick: None,
            reason: None,
            status: Vec::new(),
            own: vec![Status::SelfPresence],
        }
    }

    pub(super) fn with(mut self, status: Status) -> Self {
        self.status.push(status);
        self
    }

    pub(super) fn with_own(mut self, status: Status) -> Self {
        self.own.push(status);
        self
    }

    /// Keeps a role: who takes another name does not really go.
    pub(super) fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    pub(super) fn with_nick(mut self, nick: &str) -> Self {
        self.nick = Some(nick.to_owned());
        self
    }

    pub(super) fn with_reason(mut self, reason: Option<String>) -> Self {
        self.reason = reason;
        self
    }

    /// What the room says of it: to those who may know his JID with that, to himself with more.
    fn said(&self, jid: Option<&FullJid>, own: &[Status]) -> Element {
        let item = item(&self.affiliation, &self.role)
            .attr(xml_ncname!("jid").into(), jid.map(FullJid::to_string))
            .attr(xml_ncname!("nick").into(), self.nick.clone());
        let reason = self.reason.as_ref().map(|reason| {
            let element = Element::builder("reason", ns::MUC_USER);
            element.append(reason.clone()).build()
        });
        Element::builder("x", ns::MUC_USER)
            .append(item.append_all(reason))
            .append_all(self.status.iter().chain(own).cloned().map(Element::from))
            .build()
    }
}

impl Room {
    /// Tells all occupants of one of them, who hears it last.
    pub(super) fn announce(&self, seat: &FullJid, notice: &Notice) {
        let Some(subject) = self.occupants.get(seat) else {
            return;
        };
        for (other, occupant) in &self.occupants {
            if other != seat {
                self.show(seat, subject, notice, occupant);
            }
        }
        self.show(seat, subject, notice, subject);
    }

    /// Tells one occupant of another one.
    pub(super) fn show(&self, seat: &FullJid, subject: &Occupant, notice: &Notice, to: &Occupant) {
        let known = self.rules.whois == Whois::Anyone || self.is_owner(&to.jid.to_bare());
        let jid = known.then_some(&subject.jid);
        let own = if subject.jid == to.jid {
            &notice.own[..]
        } else {
            &[]
        };
        let mut presence = notice.presence.clone();
        presence.payloads.push(notice.said(jid, own));
        let presence = presence.with_from(seat.clone()).with_to(to.jid.clone());
        to.outbox.post(presence);
    }

    /// Tells every occupant that the room is no more; each hears of himself only (XEP-0045 §10.9).
    pub(super) fn bid_farewell(&self, order: &Element) {
        let mut destroy = Element::builder("destroy", ns::MUC_USER);
        for ((_, name), value) in order.attrs() {
            destroy = destroy.attr(name.clone(), value);
        }
        let reason = order.get_child("reason", super::OWNER).map(|reason| {
            Element::builder("reason", ns::MUC_USER)
                .append(reason.text())
                .build()
        });
        let destroy = destroy.append_all(reason).build();
        self.tell(|seat, occupant| {
            let said = Element::builder("x", ns::MUC_USER)
                .append(item(&Affiliation::None, &Role::None))
                .append(destroy.clone())
                .append(Element::from(Status::SelfPresence));
            let mut presence = Presence::unavailable();
            presence.payloads.push(said.build());
            let presence = presence.with_from(seat.clone());
            Stanza::from(presence.with_to(occupant.jid.clone()))
        });
    }
}

/// A presence without what is said to the room, and without what only the room may say.
pub(super) fn shown(presence: &Presence) -> Presence {
    let mut shown = presence.clone();
    shown.payloads.retain(|payload| {
        let ns = payload.ns();
        ns != ns::MUC && ns != ns::MUC_USER
    });
    shown
}

/// Written by hand: xmpp-parsers 0.23.0 leaves `none` out, and does not read what it has left out.
fn item(affiliation: &Affiliation, role: &Role) -> ElementBuilder {
    let affiliation = match affiliation {
        Affiliation::Owner => "owner",
        Affiliation::Admin => "admin",
        Affiliation::Member => "member",
        Affiliation::Outcast => "outcast",
        Affiliation::None => "none",
    };
    let role = match role {
        Role::Moderator => "moderator",
        Role::Participant => "participant",
        Role::Visitor => "visitor",
        Role::None => "none",
    };
    Element::builder("item", ns::MUC_USER)
        .attr(xml_ncname!("affiliation").into(), affiliation)
        .attr(xml_ncname!("role").into(), role)
}
