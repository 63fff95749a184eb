//! A Gabble in a chat room.

use std::fmt;

use tubes::{BareJid, FullJid};
use tubes_protocol::ns;
use tubes_session::{RoomSays, Showing};
use xmpp_parsers::minidom::Element;

use super::Gabble;
use crate::stage::patiently;

impl Gabble {
    /// Comes in as a Gabble does, and speaks under this name from now on. Who is there already has shown
    /// itself by then.
    pub(crate) async fn enters(&mut self, room: &BareJid, nick: &str) {
        self.full = room.with_resource_str(nick).unwrap();
        self.session.attend(room.clone()).await;
        let wish = format!("<x xmlns='{}'/>", ns::MUC);
        self.shows(Showing::Available, &[wish, listing([])]).await;
        let own = self.full.clone();
        self.sees_of(&own).await;
    }

    /// Shows a presence with all tubes that it has in the room: each of a Gabble's has them.
    pub(crate) async fn lists(&self, tubes: impl IntoIterator<Item = String>) {
        self.shows(Showing::Available, &[listing(tubes)]).await;
    }

    /// Goes by another name, and says at once what it has there.
    pub(crate) async fn renames(&mut self, nick: &str, tubes: impl IntoIterator<Item = String>) {
        self.full = self.full.to_bare().with_resource_str(nick).unwrap();
        self.lists(tubes).await;
        let own = self.full.clone();
        self.sees_of(&own).await;
    }

    /// Leaves the room; also with its last words it says what it had.
    pub(crate) async fn leaves_with(&mut self, tubes: impl IntoIterator<Item = String>) {
        self.shows(Showing::Unavailable, &[listing(tubes)]).await;
        let own = self.full.clone();
        while self.sees_of(&own).await.is_some() {}
    }

    /// Shows a presence with these payloads, and no others.
    pub(crate) async fn shows(&self, showing: Showing, payloads: &[String]) {
        let payloads = payloads.iter().map(|payload| payload.parse().unwrap());
        let to = self.full.clone();
        let presenting = self
            .session
            .present(to, "1".to_owned(), showing, payloads.collect());
        presenting.await;
    }

    /// The payloads of the next presence of this occupant; nothing if it leaves.
    pub(crate) async fn sees_of(&mut self, occupant: &FullJid) -> Option<Vec<Element>> {
        let mut next = 0;
        let seeing = async {
            loop {
                while let Some(said) = self.passed.get(next) {
                    if about(said) == Some(occupant) {
                        return self.passed.remove(next).unwrap();
                    }
                    next += 1;
                }
                self.passed.push_back(self.shown.recv().await.unwrap());
            }
        };
        match patiently("an occupant shows something", seeing).await {
            RoomSays::Available { payloads, .. } => Some(payloads),
            _ => None,
        }
    }

    /// The next listing of this occupant that is not empty.
    pub(crate) async fn sees_tubes_of(&mut self, occupant: &FullJid) -> Vec<Element> {
        loop {
            let shown = self.sees_of(occupant).await.unwrap();
            let tubes = shown.iter().find(|payload| payload.is("tubes", ns::TUBES));
            let tubes: Vec<_> = tubes.unwrap().children().cloned().collect();
            if !tubes.is_empty() {
                return tubes;
            }
        }
    }

    /// Whether it speaks under a name in a room.
    pub(super) fn is_in_room(&self) -> bool {
        self.full.to_bare() != self.jid
    }
}

/// A tube without parameters, as a Gabble lists it.
pub(crate) fn stream_tube(number: u32, service: &str) -> String {
    stream_tube_with(number, service, "")
}

/// A tube with these `<parameter/>`s.
pub(crate) fn stream_tube_with(
    number: impl fmt::Display,
    service: &str,
    parameters: &str,
) -> String {
    format!(
        "<tube xmlns='{}' type='stream' service='{service}' id='{number}'>\
         <parameters>{parameters}</parameters></tube>",
        ns::TUBES
    )
}

/// A D-Bus tube, as a Gabble lists it that takes part in it.
pub(crate) fn dbus_tube(number: u32, initiator: &FullJid) -> String {
    format!(
        "<tube xmlns='{}' type='dbus' service='org.example.Demo' id='{number}' \
         initiator='{initiator}' stream-id='1795237448-463122202' dbus-name=':2.ZmVybmFuZAAA'>\
         <parameters/></tube>",
        ns::TUBES
    )
}

fn listing(tubes: impl IntoIterator<Item = String>) -> String {
    let tubes: String = tubes.into_iter().collect();
    format!("<tubes xmlns='{}'>{tubes}</tubes>", ns::TUBES)
}

fn about(said: &RoomSays) -> Option<&FullJid> {
    match said {
        RoomSays::Available { occupant, .. } | RoomSays::Unavailable { occupant, .. } => {
            Some(occupant)
        }
        _ => None,
    }
}
