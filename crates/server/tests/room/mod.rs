//! A room, the people in it, and what is said there.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file uses its share, and fails by panicking"
)]

use tokio_xmpp::Stanza;
use tubes_server::{Server, ServerKind};
use xmpp_parsers::{
    iq::Iq,
    jid::{BareJid, FullJid, Jid},
    minidom::Element,
    muc::{Muc, MucUser, user::Status},
    presence::{Presence, Type},
    stanza_error::{DefinedCondition, StanzaError},
};

use super::client::{Client, shared};

/// A server, and a room of its that nobody has entered yet.
pub(crate) struct Stage {
    pub(crate) server: &'static Server,
    pub(crate) room: BareJid,
}

impl Stage {
    pub(crate) async fn new(kind: ServerKind) -> Option<Self> {
        let server = shared(kind).await?;
        let room = format!("room-{:x}@{}", rand::random::<u64>(), server.rooms());
        let room = room.parse().unwrap();
        Some(Self { server, room })
    }

    /// Alice has made the room, and Fernand has come.
    pub(crate) async fn with_two(kind: ServerKind) -> Option<(Self, Client, Client)> {
        let stage = Self::new(kind).await?;
        let mut alice = stage.host("alice").await;
        let mut fernand = stage.online("fernand").await;
        stage.enter(&mut fernand, "fernand").await;
        stage.sees(&mut alice, "fernand", &Type::None).await;
        Some((stage, alice, fernand))
    }

    pub(crate) async fn online(&self, name: &str) -> Client {
        let account = self.server.fresh_account(name).await.unwrap();
        Client::come_online(self.server, &account, "tubes").await
    }

    /// Somebody who makes the room and opens it to all.
    pub(crate) async fn host(&self, nick: &str) -> Client {
        let mut host = self.online(nick).await;
        self.enter(&mut host, nick).await;
        self.configure(&mut host, &[]).await;
        host
    }

    pub(crate) fn occupant(&self, nick: &str) -> FullJid {
        self.room.with_resource_str(nick).unwrap()
    }

    /// What somebody says who wants to come in.
    pub(crate) fn knock(&self, nick: &str) -> Presence {
        Presence::available()
            .with_to(self.occupant(nick))
            .with_payload(Muc::new())
    }

    /// Enters, and returns the own presence in the room.
    pub(crate) async fn enter(&self, who: &mut Client, nick: &str) -> Presence {
        who.send(self.knock(nick)).await;
        self.sees(who, nick, &Type::None).await
    }

    /// Submits the owner's form with these fields.
    pub(crate) async fn configure(&self, owner: &mut Client, fields: &[(&str, &str)]) {
        let fields: String = fields
            .iter()
            .map(|(name, value)| format!("<field var='{name}'><value>{value}</value></field>"))
            .collect();
        let form = format!(
            "<query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE' type='hidden'><value>{CONFIG}</value></field>{fields}</x></query>"
        );
        let answer = owner.ask(set(&self.room.clone().into(), &form)).await;
        assert!(matches!(answer, Iq::Result { .. }), "{answer:?}");
    }

    /// Asks the room, as an administrator, to change what somebody is in it.
    pub(crate) async fn administer(&self, who: &mut Client, item: &str) -> Iq {
        let query = format!("<query xmlns='{ADMIN}'>{item}</query>");
        who.ask(set(&self.room.clone().into(), &query)).await
    }

    /// Waits for a presence of this occupant.
    pub(crate) async fn sees(&self, who: &mut Client, nick: &str, what: &Type) -> Presence {
        let from = Jid::from(self.occupant(nick));
        who.presence(|p| p.type_ == *what && p.from.as_ref() == Some(&from))
            .await
    }

    /// Pings an occupant, who may be the client itself (XEP-0410).
    pub(crate) async fn ping(&self, who: &mut Client, nick: &str) -> Iq {
        let id = format!("{:x}", rand::random::<u64>());
        let ping = Iq::from_get(id, xmpp_parsers::ping::Ping);
        who.ask(ping.with_to(self.occupant(nick).into())).await
    }
}

pub(crate) fn set(to: &Jid, payload: &str) -> Iq {
    Iq::Set {
        from: None,
        to: Some(to.clone()),
        id: format!("{:x}", rand::random::<u64>()),
        payload: payload.parse().unwrap(),
    }
}

/// What the room adds to a presence.
pub(crate) fn said(presence: &Presence) -> MucUser {
    let mut payloads = presence.payloads.iter();
    payloads
        .find_map(|payload| MucUser::try_from(payload.clone()).ok())
        .unwrap_or_else(|| panic!("not of a room: {presence:?}"))
}

pub(crate) fn has(presence: &Presence, status: Status) -> bool {
    said(presence).status.contains(&status)
}

/// The listing of a tube of this number, as Gabble shows it in a room.
pub(crate) fn tubes(number: u32) -> Element {
    format!(
        "<tubes xmlns='http://telepathy.freedesktop.org/xmpp/tubes'>\
         <tube type='stream' service='x-echo' id='{number}'>\
         <parameters><parameter name='k' type='str'>v</parameter></parameters></tube></tubes>"
    )
    .parse()
    .unwrap()
}

/// The first error of presence that comes from this room.
pub(crate) async fn refusal(stage: &Stage, who: &mut Client) -> DefinedCondition {
    let room = &stage.room;
    let refused = who
        .presence(|p| p.type_ == Type::Error && p.from.as_ref().unwrap().to_bare() == *room)
        .await;
    let mut payloads = refused.payloads.into_iter();
    payloads
        .find_map(|payload| StanzaError::try_from(payload).ok())
        .unwrap()
        .defined_condition
}

pub(crate) fn condition(answer: &Iq) -> DefinedCondition {
    match answer {
        Iq::Error { error, .. } => error.defined_condition.clone(),
        other => panic!("no error: {other:?}"),
    }
}

/// The next IQ that is a question.
pub(crate) async fn question(who: &mut Client) -> Iq {
    who.find(|stanza| match stanza {
        Stanza::Iq(iq @ (Iq::Get { .. } | Iq::Set { .. })) => Some(iq.clone()),
        _ => None,
    })
    .await
}

/// What is unavailable, or an error, in what came so far from the room.
pub(crate) fn presences(so_far: Vec<Stanza>) -> Vec<Presence> {
    let presence = |stanza| match stanza {
        Stanza::Presence(presence) => Some(presence),
        _ => None,
    };
    so_far.into_iter().filter_map(presence).collect()
}

pub(crate) const ADMIN: &str = "http://jabber.org/protocol/muc#admin";

const OWNER: &str = "http://jabber.org/protocol/muc#owner";

const CONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";
