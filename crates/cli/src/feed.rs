//! The events of an account, as a command takes and reports them.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::timeout;
use tubes::{Disregarded, Event, Events, FullJid, Limit, State, TubeId, Tubes};

use crate::exit::{Kind, Stop};
use crate::output::{
    FellBack, Foreign, Output, Party, Report, Trust, Typed, Who, milliseconds, report_of_file,
};

/// The events of an account, reported as they are taken.
pub(crate) struct Feed {
    tubes: Tubes,
    events: Events,
    output: Output,
    /// What the events taken so far amount to.
    state: State,
    /// In place of events that were missed. No more of them than there are tubes, connections
    /// and contacts.
    missed: VecDeque<Event>,
}

impl Feed {
    pub(crate) fn new(tubes: Tubes, events: Events, output: Output) -> Self {
        Self {
            tubes,
            events,
            output,
            state: State::default(),
            missed: VecDeque::new(),
        }
    }

    /// The next event, already reported; fails when none can follow. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Event, Stop> {
        let Some(event) = self.take().await else {
            return Err(Stop::failed(
                Kind::Gone,
                "the account went offline for good",
            ));
        };
        self.report(&event)?;
        match event {
            Event::Offline {
                reason,
                retry_in: None,
            } => Err(Stop::failed(
                Kind::Gone,
                format!("offline for good: {reason}"),
            )),
            event => Ok(event),
        }
    }

    /// The next event, not yet reported. Cancel safe.
    pub(crate) async fn take(&mut self) -> Option<Event> {
        if let Some(event) = self.missed.pop_front() {
            return Some(event);
        }
        let event = self.events.next().await?;
        if let Event::Missed(count) = event {
            tracing::warn!(
                count,
                "events were lost: standard output is read too slowly"
            );
            let (state, events) = self.tubes.watch();
            self.missed = state.since(&self.state).into();
            self.events = events;
        }
        Some(event)
    }

    /// Reports what still waits, once nothing new comes. To be told to nobody is no reason to
    /// stop; the first such failure is returned at the end.
    pub(crate) async fn drain(&mut self) -> Result<(), Stop> {
        let mut told = Ok(());
        while let Ok(Some(event)) = timeout(Duration::ZERO, self.take()).await {
            let reported = self.report(&event);
            told = told.and(reported);
        }
        told
    }

    /// Whether the account is in a room, as far as was told.
    pub(crate) fn is_in_room(&self) -> bool {
        !self.state.rooms.is_empty()
    }

    /// Tells a human what the command is up to.
    pub(crate) fn remark(&self, sentence: &str) -> Result<(), Stop> {
        self.output.remark(sentence)
    }

    fn remark_on(&self, peer: &FullJid, what: &str) -> Result<(), Stop> {
        self.remark(&format!("{} {what}", Who::new(peer)))
    }

    /// Tells what happened, and takes notice of it.
    pub(crate) fn report(&mut self, event: &Event) -> Result<(), Stop> {
        self.state.handle(event);
        match event {
            Event::PeerOffline { peer } => self.remark_on(peer, "is offline"),
            Event::PeerOnline { peer } => self.remark_on(peer, "is online"),
            Event::OccupantCame { occupant, .. } => self.remark_on(occupant, "is here"),
            Event::OccupantLeft { occupant } => self.remark_on(occupant, "is not here"),
            Event::RoomLost { room } => self.remark(&format!(
                "{room} is not there at the moment; coming back when it is"
            )),
            event => match self.report_of(event) {
                Some(report) => self.output.report(&report),
                None => Ok(()),
            },
        }
    }

    fn report_of(&self, event: &Event) -> Option<Report> {
        Some(match event.clone() {
            Event::ConnectionClosed {
                tube,
                connection,
                sent,
                received,
                error,
            } => Report::ConnectionClosed {
                tube: self.number(tube),
                connection,
                sent,
                received,
                error: error.map(Into::into),
            },
            Event::ConnectionOpened {
                tube,
                connection,
                peer,
                transport,
                fell_back_from,
                setup,
                source,
                protection,
            } => Report::ConnectionOpened {
                tube: self.number(tube),
                connection,
                peer: Who::new(peer),
                transport: transport.to_owned(),
                fell_back_from: fell_back_from
                    .into_iter()
                    .map(|(transport, reason)| FellBack { transport, reason })
                    .collect(),
                setup_ms: milliseconds(setup),
                source,
                protection: protection.into(),
            },
            Event::Disregarded { what, peer } => Report::Disregarded {
                what: disregarded(what)?,
                peer: Who::new(peer),
            },
            Event::LimitReached { limit, peer } => Report::LimitReached {
                limit: limited(limit)?,
                peer: peer.map(Who::new),
            },
            Event::Listening { tube, address } => Report::Listening {
                tube: self.number(tube),
                address: address.to_string(),
            },
            Event::Offline { reason, retry_in } => Report::Offline {
                reason,
                retry_in_ms: retry_in
                    .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            },
            Event::Online {
                jid,
                server,
                tls,
                resumed,
            } => Report::Online {
                jid: jid.to_string(),
                server,
                tls: tls.map(str::to_owned),
                resumed,
            },
            Event::RoomEntered { own } => Report::RoomEntered {
                room: own.to_bare().to_string(),
                nick: own.resource().to_string(),
            },
            Event::RoomLeft { room, error } => Report::RoomLeft {
                room: room.to_string(),
                error: error.map(Into::into),
            },
            Event::Throttled { bytes_per_second } => Report::Throttled { bytes_per_second },
            Event::TrustDecided {
                contact,
                key,
                decision,
            } => Report::Trust(Trust::new(&contact, key, decision)?),
            Event::TubeClosed { number, error, .. } => Report::TubeClosed {
                tube: number,
                error: error.map(Into::into),
            },
            Event::TubeOffered {
                number,
                peer,
                audience,
                service,
                direction,
                parameters,
                ..
            } => Report::TubeOffered {
                tube: number,
                party: Party::new(&audience, &peer, direction),
                service: Foreign::new(service),
                direction: direction.into(),
                parameters: parameters
                    .iter()
                    .map(|(name, value)| (Foreign::new(name), Typed::from(value)))
                    .collect(),
            },
            Event::TubeOpened { tube } => Report::TubeOpened {
                tube: self.number(tube),
            },
            // What a later version may add is not part of the contract yet.
            event => return report_of_file(event),
        })
    }

    /// Whatever happens to a tube happens between its beginning and its end.
    fn number(&self, tube: TubeId) -> u32 {
        self.state.tubes.get(&tube).map_or(0, |tube| tube.number)
    }
}

/// The name of what nobody heeded, for programs; none for what a later version may tell apart.
fn disregarded(what: Disregarded) -> Option<&'static str> {
    Some(match what {
        Disregarded::Announcement => "announcement",
        Disregarded::Answer => "answer",
        Disregarded::Capabilities => "capabilities",
        Disregarded::File => "file",
        Disregarded::Initiation => "initiation",
        Disregarded::Message => "message",
        Disregarded::Offer => "offer",
        Disregarded::Presence => "presence",
        Disregarded::Roster => "roster",
        Disregarded::Stream => "stream",
        Disregarded::Subscription => "subscription",
        _ => return None,
    })
}

/// The name of a limit, for programs; none for what a later version may limit.
fn limited(limit: Limit) -> Option<&'static str> {
    Some(match limit {
        Limit::Answers => "answers",
        Limit::Capabilities => "capabilities",
        Limit::Connections => "connections",
        Limit::ConnectionsPerContact => "connections_per_contact",
        Limit::ConnectionsPerTube => "connections_per_tube",
        Limit::Files => "files",
        Limit::FilesPerContact => "files_per_contact",
        Limit::Handshakes => "handshakes",
        Limit::Invitations => "invitations",
        Limit::InvitationsInRooms => "invitations_in_rooms",
        Limit::InvitationsPerContact => "invitations_per_contact",
        Limit::InvitationsPerOccupant => "invitations_per_occupant",
        Limit::Negotiations => "negotiations",
        Limit::Occupants => "occupants",
        Limit::Resources => "resources",
        Limit::Roster => "roster",
        Limit::Unread => "unread",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use tubes::{FailureKind, Offer};
    use tubes_server::{Server, ServerKind};

    use super::*;
    use crate::args::Format;
    use crate::visitor::Visitor;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_missed_is_made_up_for() {
        if !ServerKind::Embedded.wanted().unwrap() {
            return;
        }
        let server = Server::shared(ServerKind::Embedded).await.unwrap();
        let alice = Visitor::on(server, "alice").await;
        let fernand = Visitor::on(server, "fernand").await;
        let mut watcher = fernand.tubes.events();
        let output = Output::new(Format::Json).muted();
        let mut feed = Feed::new(fernand.tubes.clone(), fernand.events, output);
        alice.tubes.befriend(&fernand.jid).await;
        fernand.tubes.befriend(&alice.jid).await;
        let offer = |service: &str| {
            let nowhere = "127.0.0.1:9".parse().unwrap();
            Offer::new(fernand.jid.clone(), service, nowhere)
        };

        let first = alice.tubes.offer(offer("first")).await.unwrap();
        let first_here = offered(&mut watcher, "first").await;
        while feed.state.tubes.is_empty() {
            feed.next().await.unwrap();
        }
        // From here on nobody reads.
        alice.tubes.close(first).await;
        for _ in 0..PASSING {
            let tube = alice.tubes.offer(offer("passing")).await.unwrap();
            offered(&mut watcher, "passing").await;
            alice.tubes.close(tube).await;
        }
        alice.tubes.offer(offer("last")).await.unwrap();
        let last_here = offered(&mut watcher, "last").await;

        // Somebody reads again. The last one that passes may still be there when he begins.
        let mut why = None;
        let is_up_to_date = |feed: &Feed| feed.state.tubes.keys().eq([&last_here]);
        while !is_up_to_date(&feed) {
            let event = timeout(PATIENCE, feed.next()).await.unwrap().unwrap();
            match event {
                Event::TubeClosed { tube, error, .. } if tube == first_here => why = error,
                _ => {}
            }
        }
        assert_eq!(why.unwrap().kind, FailureKind::Limit);
        fernand.tubes.leave().await;
        alice.tubes.leave().await;
    }

    /// Waits for the offer of this service.
    async fn offered(events: &mut Events, wanted: &str) -> TubeId {
        loop {
            let event = timeout(PATIENCE, events.next()).await.unwrap().unwrap();
            match event {
                Event::TubeOffered { tube, service, .. } if service == wanted => return tube,
                _ => {}
            }
        }
    }

    /// Offers that come and go; each makes two events, and 4,096 of them wait for a slow reader.
    const PASSING: usize = 2100;

    const PATIENCE: Duration = Duration::from_secs(60);
}
