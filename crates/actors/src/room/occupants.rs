//! Who comes, leaves, and changes its name in a room.

use std::sync::atomic::{AtomicU64, Ordering};

use tubes_protocol::room::Change;
use tubes_protocol::tube::Ended;
use xmpp_parsers::jid::FullJid;

use super::{News, RoomActor};
use crate::event::Event;

impl RoomActor {
    pub(super) fn came(&mut self, occupant: &str, real: Option<FullJid>) {
        let stay = *self
            .stays
            .entry(occupant.to_owned())
            .or_insert_with(new_stay);
        self.env.guard.visits().began(stay);
        if let Some(occupant) = self.occupant(occupant) {
            let event = Event::OccupantCame { occupant, real };
            self.env.announcer.announce(event);
        }
    }

    pub(super) fn left(&mut self, occupant: &str) -> Vec<News> {
        let changes = self.board.handle_left(occupant);
        if let Some(stay) = self.stays.remove(occupant) {
            self.env.guard.visits().ended(stay);
        }
        let mut news = self.news(changes, Ended::Left);
        if let Some(occupant) = self.occupant(occupant) {
            news.push(News::Left(occupant.clone()));
            let event = Event::OccupantLeft { occupant };
            self.env.announcer.announce(event);
        }
        news
    }

    pub(super) fn renamed(&mut self, from: &str, to: &str) -> Vec<News> {
        let changes = self.board.handle_renamed(from, to);
        let mut news = Vec::new();
        if let Some(stay) = self.stays.remove(from)
            && let Some(former) = self.stays.insert(to.to_owned(), stay)
        {
            // Whoever had that name is gone, or the room would not give it to another one.
            self.env.guard.visits().ended(former);
            news.extend(self.occupant(to).map(News::Left));
        }
        if let (Some(from), Some(to)) = (self.occupant(from), self.occupant(to)) {
            let (former, present) = (from.clone(), to.clone());
            news.push(News::Renamed {
                from: former,
                to: present,
            });
            let real = self.entry.known(to.resource().as_str());
            let real = real.and_then(|known| known.real.clone());
            let announcer = &self.env.announcer;
            announcer.announce(Event::OccupantLeft { occupant: from });
            announcer.announce(Event::OccupantCame { occupant: to, real });
        }
        // That its tubes follow it is said by the name.
        let changes = changes.into_iter();
        let changes = changes.filter(|change| !matches!(change, Change::Renamed { .. }));
        news.extend(self.news(changes.collect(), Ended::Left));
        news
    }
}

/// Draws what no other stay of the process has.
fn new_stay() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}
