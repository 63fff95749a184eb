//! Leaving at a bad moment.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tubes::{Access, Event, Offer};
use tubes_server::{Server, ServerKind};

use crate::stage::{Family, Person, Service, connect, echo, patiently};

crate::on_each_server_and_transport!(leaving_takes_seconds_although_the_link_is_down);

/// More programs than there may be negotiations with one contact, so that all that can fill up is
/// full.
async fn leaving_takes_seconds_although_the_link_is_down(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let alice = Person::on(server, "alice").await;
    let (mut fernand, link) = Person::linked(server, "fernand", |account| account).await;
    alice.tubes.befriend(&fernand.jid).await;
    fernand.tubes.befriend(&alice.jid).await;
    let offer = Offer::new(fernand.jid.clone(), "x-test", service.address.clone());
    alice.tubes.offer(offer).await.unwrap();
    let tube = fernand.offered().await;
    let listen = "127.0.0.1:0".parse().unwrap();
    let accepting = fernand.tubes.accept(tube, listen, Access::Localhost);
    let address = accepting.await.unwrap();

    drop(link);
    fernand
        .event(|event| matches!(event, Event::Offline { .. }).then_some(()))
        .await;
    let mut programs = Vec::new();
    for _ in 0..PROGRAMS {
        // Where the server keeps no session the contact is gone already, and nobody is let in.
        programs.extend(connect(&address).await);
    }
    if server.kind() != ServerKind::Embedded {
        assert_eq!(programs.len(), PROGRAMS);
    }
    let leaving = timeout(NOTICEABLE, fernand.tubes.leave());
    leaving.await.unwrap();
    // Those that were let in, and those that still waited for it.
    for program in &mut programs {
        let end = patiently("a program is cut off", program.read_u8());
        assert!(end.await.is_err());
    }
    alice.leave().await;
}

const PROGRAMS: usize = 100;

/// Promised are five seconds; other tests keep the machine busy. Who waited for an answer from
/// beyond the link would wait for half a minute at least.
const NOTICEABLE: Duration = Duration::from_secs(20);
