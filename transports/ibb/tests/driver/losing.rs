//! What a server loses on its way.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tubes_ibb::Ibb;
use tubes_testkit::{Fate, Hub};
use tubes_transport::Kind;
use xmpp_parsers::minidom::Element;

use crate::{IBB, open};

/// Loses the first stanza of this kind.
fn lose(hub: &Hub, is_it: impl Fn(&Element) -> bool + Send + Sync + 'static) {
    let is_lost = AtomicBool::new(false);
    hub.set_filter(
        move |stanza| match is_it(stanza) && !is_lost.swap(true, Ordering::Relaxed) {
            true => Fate::Drop,
            false => Fate::Pass,
        },
    );
}

fn is_block(stanza: &Element) -> bool {
    stanza.has_child("data", IBB)
}

fn is_answer(stanza: &Element) -> bool {
    stanza.attr("type") == Some("result")
}

#[tokio::test(start_paused = true)]
async fn a_block_that_is_lost_breaks_both_ends_soon() {
    let (mut a, mut b, hub) = open(Ibb::new(), Kind::Ours).await;
    lose(&hub, is_block);
    let begun = Instant::now();
    a.write_all(b"lost").await.unwrap();
    let why = b.read(&mut [0]).await.unwrap_err();
    assert_eq!(why.kind(), ErrorKind::InvalidData);
    let why = a.read(&mut [0]).await.unwrap_err();
    assert_eq!(why.kind(), ErrorKind::ConnectionReset);
    assert!(begun.elapsed() <= SOON, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_that_is_lost_costs_a_pause() {
    let (mut a, mut b, hub) = open(Ibb::new(), Kind::Ours).await;
    lose(&hub, is_answer);
    let begun = Instant::now();
    a.write_all(b"arrives").await.unwrap();
    let mut heard = [0; 7];
    b.read_exact(&mut heard).await.unwrap();
    a.flush().await.unwrap();
    assert!(begun.elapsed() <= SOON, "{:?}", begun.elapsed());
    a.write_all(b" and goes on").await.unwrap();
    a.shutdown().await.unwrap();
    let mut rest = Vec::new();
    b.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b" and goes on");
}

/// A reader may take hours, and nothing breaks that was not lost.
#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_hours_loses_nothing() {
    let (mut a, mut b, _hub) = open(Ibb::new(), Kind::Ours).await;
    let mut written = 0;
    let hour = Duration::from_secs(60 * 60);
    while let Ok(wrote) = timeout(hour, a.write(&[7; 4096])).await {
        written += wrote.unwrap();
    }
    tokio::time::sleep(hour * 12).await;
    let reading = tokio::spawn(async move {
        let mut heard = Vec::new();
        b.read_to_end(&mut heard).await.map(|_| heard.len())
    });
    a.shutdown().await.unwrap();
    drop(a);
    assert_eq!(reading.await.unwrap().unwrap(), written);
}

const SOON: Duration = Duration::from_secs(31);
