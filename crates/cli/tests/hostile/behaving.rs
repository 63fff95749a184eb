//! Carol comes back and behaves, and is served as anybody is.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::attacker::{Attacker, bare};
use crate::files::send;
use crate::honest::until_served;
use crate::measuring::soon;
use crate::plan::Standing;
use crate::program::PATIENCE;
use crate::scene::Scene;
use crate::withstanding::Before;
use crate::words::{Through, attribute, close, data, file, offer, result, set, tell};

impl Scene {
    /// Carol leaves, and nothing is left of her: neither descriptors, nor places that she has taken. When
    /// she comes back and behaves, she is answered, and gets what somebody of her standing gets.
    pub(crate) async fn is_forgotten(&mut self, before: &[Before]) {
        // Nothing is measured any more.
        drop(self.alone.take());
        let begun = Instant::now();
        let account = bare(&self.carol.jid);
        let again = Attacker::log_in(self.server, &account, &self.password, AGAIN).await;
        drop(std::mem::replace(&mut self.carol, again));
        self.carol.come_online().await;
        if let Some(room) = &self.room {
            // Under the former name she may still be on her way out.
            self.carol.enter(room, AGAIN).await;
        }
        for whom in self.names() {
            let answer = self.carol.ask(&whom, "get", DISCO).await;
            assert!(answer.contains("type='result'"), "{answer}");
        }
        until_served(self.tube).await;
        match self.plan.standing {
            Standing::Contact => self.offers_a_tube().await,
            Standing::Occupant => self.uses_the_tube().await,
            // What she may have she has had.
            Standing::Stranger => {}
        }
        if self.tablet.is_some() && self.plan.standing == Standing::Contact {
            self.sends_a_file().await;
        }
        let at_ease = async {
            while !before.iter().all(Before::is_again) {
                sleep(GLANCE).await;
            }
        };
        timeout(soon(FORGOTTEN), at_ease).await.unwrap_or_else(|_| {
            let descriptors: Vec<_> = before.iter().map(Before::and_now).collect();
            panic!("not forgotten: {descriptors:?} descriptors before and now")
        });
        eprintln!("forgotten after {:?}", begun.elapsed());
    }

    /// There is a place for it, as soon as nobody waits any more for who offered others to come back.
    async fn offers_a_tube(&mut self) {
        let service = format!("x-{AGAIN}");
        let (carol, program) = (&mut self.carol, &mut self.programs[1]);
        let offering = async {
            for number in 1.. {
                carol
                    .say(tell(&self.fernand, &offer(number, &service, "")))
                    .await;
                let is_offered =
                    async { while program.event("tube_offered").await["service"] != service {} };
                if timeout(BETWEEN_OFFERS, is_offered).await.is_ok() {
                    return;
                }
            }
        };
        timeout(ABSENCE, offering).await.expect("a place");
    }

    /// There is a place for a connection, which carries.
    async fn uses_the_tube(&mut self) {
        let (alice, carol) = (&self.alice, &mut self.carol);
        carol.open(alice, Through::Room, self.number, AGAIN).await;
        let said = data(AGAIN, 0, "QUdBSU4=");
        carol.say(set(alice, "said-again", &said)).await;
        let back = carol.hears(&["<data", "QUdBSU4="]).await;
        carol.say(result(alice, attribute(&back, "id"))).await;
        let answer = carol.ask(alice, "set", &close(AGAIN)).await;
        assert!(answer.contains("type='result'"), "{answer}");
    }

    /// There is a place for it, and it arrives.
    async fn sends_a_file(&mut self) {
        let tablet = self.tablet.clone().unwrap();
        let si = file(AGAIN, &format!("name='{AGAIN}' size='5'"), "");
        send(&mut self.carol, &tablet, AGAIN, &si, b"again").await;
        let place = self.received().join(AGAIN);
        let arriving = async {
            while std::fs::read(&place).ok().as_deref() != Some(b"again") {
                sleep(GLANCE).await;
            }
        };
        timeout(PATIENCE, arriving).await.expect("a file");
    }
}

/// By what Carol goes when she behaves.
pub(crate) const AGAIN: &str = "reformed";

/// XEP-0030.
const DISCO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";

/// How soon everything is as before.
const FORGOTTEN: Duration = Duration::from_secs(15);

/// How long a tube waits for the one who offered it, and some air.
const ABSENCE: Duration = Duration::from_secs(60 + 30);

/// How soon an offer is heard, if there is a place for it.
const BETWEEN_OFFERS: Duration = Duration::from_millis(200);

/// How often it is looked whether it is.
const GLANCE: Duration = Duration::from_millis(20);
