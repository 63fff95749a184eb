//! Alice and Fernand, each behind a link, and a tube between them.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;
use tubes::{Address, Tls, TransportName, Tubes};
use tubes_server::Server;
use tubes_testkit::{Fate, Link, Step};

use super::step::befallen;
use crate::stage::{
    Family, Person, Service, Serving, befriended, credentials, echo, exchange, lead, patiently,
    share_between, until_served,
};

/// On whose link something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Alices,
    Fernands,
}

pub(crate) struct Pair {
    alice: Person,
    fernand: Person,
    alices: Link,
    fernands: Link,
    ladder: &'static [TransportName],
    /// Where Fernand's programs connect; Alice's service is behind it.
    address: Address,
    _service: Serving,
}

impl Pair {
    pub(crate) async fn on(server: &Server, ladder: &'static [TransportName]) -> Self {
        static ARRIVING: Semaphore = Semaphore::const_new(AT_A_TIME);
        let _turn = ARRIVING.acquire().await.unwrap();
        let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
        let (alice, alices) = linked(server, "alice", ladder).await;
        let (fernand, fernands) = linked(server, "fernand", ladder).await;
        let (alice, fernand) = befriended(alice, fernand).await;
        let shared = share_between(alice, fernand, &service.address, Family::Tcp).await;
        Self {
            alice: shared.alice,
            fernand: shared.fernand,
            alices,
            fernands,
            ladder,
            address: shared.address,
            _service: service,
        }
    }

    /// A connection meets a fault, and ends well or with an error; afterwards another one works.
    pub(crate) async fn meet(&mut self, step: Step, fate: Fate, whose: Whose, cell: &str) {
        let link = match whose {
            Whose::Alices => &self.alices,
            Whose::Fernands => &self.fernands,
        };
        let (happening, mut happened) = watch::channel(false);
        link.set_filter(befallen(step, fate.clone(), whose, happening));
        let meeting = exchange(&self.address);
        match fate {
            // A lost stanza looks like somebody slow, for as long as the peer lives; the
            // deadlines of the others are tried on a clock that can be hurried.
            Fate::Drop | Fate::HoldBack => {
                let mut lost = happened.clone();
                let waiting = async {
                    let lost = lost.wait_for(|happened| *happened);
                    drop(patiently(cell, lost).await.unwrap());
                    sleep(A_WHILE).await;
                };
                tokio::select! {
                    () = self.exchange_until(happened.clone(), cell) => {}
                    () = waiting => {}
                }
            }
            Fate::Delay(_) => patiently(cell, meeting).await.unwrap(),
            Fate::Replace(_) if self.may_fall_back_at(step) => {
                patiently(cell, meeting).await.unwrap();
            }
            _ => self.exchange_until(happened.clone(), cell).await,
        }
        // What is encrypted is complete before what is below is closed.
        let closing = happened.wait_for(|happened| *happened);
        drop(
            patiently(&format!("it happens: {cell}"), closing)
                .await
                .unwrap(),
        );
        link.set_filter(|_, _| Fate::Pass);
        let what = format!("another connection works after {cell}");
        patiently(&what, until_served(&self.address)).await;
    }

    /// Connects until one of the connections meets it: what the fault before this one left behind may
    /// end one too soon.
    async fn exchange_until(&self, happened: watch::Receiver<bool>, cell: &str) {
        for _ in 0..TRIES {
            assert_honest(patiently(cell, exchange(&self.address)).await, cell);
            if *happened.borrow() {
                return;
            }
            sleep(A_WHILE).await;
        }
        panic!("{cell}: did not happen");
    }

    /// Whether this concerns the first transport alone, and another one follows.
    fn may_fall_back_at(&self, step: Step) -> bool {
        let is_of_all = matches!(step, Step::SiRequest | Step::SiAnswer);
        self.ladder.len() > 1 && !is_of_all
    }

    pub(crate) async fn leave(self) {
        self.fernand.leave().await;
        self.alice.leave().await;
    }
}

/// Somebody with these transports whose stanzas can be told apart.
async fn linked(server: &Server, name: &str, ladder: &[TransportName]) -> (Person, Link) {
    let account = server.fresh_account(name).await.unwrap();
    let link = Link::to(server.address()).await.unwrap();
    let credentials = lead(&link, credentials(server, &account));
    let builder = Tubes::builder(credentials.with_tls(Tls::None).unwrap());
    let builder = builder.transports(ladder.iter().copied());
    (Person::built(account.jid, builder).await.unwrap(), link)
}

/// What ended well is complete.
fn assert_honest(outcome: io::Result<()>, cell: &str) {
    let truncated = outcome.is_err_and(|why| why.kind() == ErrorKind::InvalidData);
    assert!(!truncated, "{cell}: a part was taken for the whole");
}

/// Pairs that log in at a time: passwords are hashed in earnest, and a login has deadlines.
const AT_A_TIME: usize = 8;

/// After this a connection that met a loss is left to itself.
const A_WHILE: Duration = Duration::from_secs(1);

/// A tube that was just met by a fault is offered again within seconds.
const TRIES: usize = 30;
