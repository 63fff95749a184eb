//! What the libraries do other than the specifications have it: whoever writes to them has to
//! reckon with it. A test that fails here says that a library has become better.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;
use tubes_server::ServerKind;

use crate::driver::Driver;
use crate::library::Library;
use crate::meeting::{Meeting, Transport};
use crate::parcel::Parcel;

#[tokio::test]
async fn gloox_never_answers_when_it_can_reach_no_host() {
    let Some([mut sending, mut receiving]) = with_nobody_there(Library::Gloox).await else {
        return;
    };
    let why = receiving.said("failed", "why").await;
    assert_eq!(why, "no host of the stream can be reached");
    assert_eq!(sending.said("failed", "why").await, "the deadline passed");
}

#[tokio::test]
async fn qxmpp_tries_a_host_for_seconds_that_refuses_and_gives_up() {
    let begun = Instant::now();
    let Some([mut sending, mut receiving]) = with_nobody_there(Library::Qxmpp).await else {
        return;
    };
    assert_eq!(receiving.said("failed", "why").await, PROTOCOL_ERROR);
    assert_eq!(sending.said("failed", "why").await, ITEM_NOT_FOUND);
    assert!(begun.elapsed() >= OF_QXMPP, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn slixmpp_says_when_it_can_reach_no_host() {
    let Some([mut sending, _receiving]) = with_nobody_there(Library::Slixmpp).await else {
        return;
    };
    assert_eq!(sending.said("failed", "why").await, ITEM_NOT_FOUND);
}

#[tokio::test]
async fn gloox_sends_no_empty_files() {
    let Some(meeting) = Meeting::on(ServerKind::Prosody, Transport::Ibb).await else {
        return;
    };
    let parcel = Parcel::empty();
    let Some(receiving) =
        Driver::receive(Library::Gloox, &meeting, &meeting.account().await, &parcel).await
    else {
        return;
    };
    let to = receiving.jid.clone();
    let sending = Driver::send(
        Library::Gloox,
        &meeting,
        &meeting.account().await,
        &parcel,
        &to,
    )
    .await;
    let why = sending.unwrap().said("failed", "why").await;
    assert_eq!(why, "gloox does not send such a file");
    drop(receiving);
}

/// Two drivers, the receiving one told of a host where nobody listens.
async fn with_nobody_there(receiver: Library) -> Option<[Driver; 2]> {
    let meeting = Meeting::on(ServerKind::Prosody, Transport::Socks5Proxy).await?;
    let meeting = meeting.with_proxy(nobody());
    let parcel = Parcel::new();
    let mut receiving =
        Driver::receive(receiver, &meeting, &meeting.account().await, &parcel).await?;
    let to = receiving.jid.clone();
    let meeting = meeting.with_deadline(IN_VAIN);
    // gloox alone offers hosts that it has not seen.
    let mut sending = Driver::send(
        Library::Gloox,
        &meeting,
        &meeting.account().await,
        &parcel,
        &to,
    )
    .await?;
    sending.event("offered").await;
    receiving.event("offered").await;
    receiving.event("accepted").await;
    Some([sending, receiving])
}

/// An address where nobody listens, and which is given to nobody else.
fn nobody() -> SocketAddr {
    static KEEPER: OnceLock<TcpSocket> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let keeper = TcpSocket::new_v4().unwrap();
        keeper.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        keeper
    });
    keeper.local_addr().unwrap()
}

/// `gloox::StanzaErrorItemNotFound`.
const ITEM_NOT_FOUND: &str = "refused: 6";

/// `QXmppTransferJob::ProtocolError`.
const PROTOCOL_ERROR: &str = "the transfer failed: 4";

/// QXmpp tries one host for seven seconds, by a timer that is five per cent off.
const OF_QXMPP: Duration = Duration::from_secs(6);

/// The sending one waits so long, which counts from before its login: longer than QXmpp tries a host,
/// and less than a driver's next line is waited for, on a busy machine, too.
const IN_VAIN: Duration = Duration::from_secs(60);
