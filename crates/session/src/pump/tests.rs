//! How a session is told to have been lost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use tubes_transport::Stanzas;

use super::*;

#[tokio::test(start_paused = true)]
async fn who_orders_something_of_a_lost_session_may_hear_of_its_loss_afterwards() {
    let (_stanzas, _outbox, switchboard) = Stanzas::pair();
    let own = "alice@example.org/r".parse().unwrap();
    let mut router = Router::new(own, Identity::new([]), 7, switchboard);
    for bytes_per_second in 0..3 {
        let throttled = Link::Throttled { bytes_per_second };
        router.report(SessionEvent::Link(throttled));
    }
    let (orders_tx, orders) = mpsc::channel(1);
    let (events, mut heard) = mpsc::channel(1);
    let (done, obeyed) = oneshot::channel();
    let command = Command::Share;
    orders_tx.send(Order { command, done }).await.unwrap();
    let owner = async {
        assert!(obeyed.await.is_err(), "nobody obeys");
        let mut events = 0;
        while heard.recv().await.is_some() {
            events += 1;
        }
        events
    };
    let reporting = report_rest(orders, router, events);
    let both = async { tokio::join!(reporting, owner).1 };
    assert_eq!(timeout(Duration::from_secs(1), both).await, Ok(3));
}
