//! Files between two programs that are not ours, every pair over each transport on each server:
//! what fails here is the doing of a library, a driver or a server.

use tubes_server::ServerKind;

use crate::driver::Driver;
use crate::library::Library;
use crate::meeting::{Meeting, Transport};
use crate::parcel::Parcel;
use crate::table::{Row, Table};

async fn pass(
    kind: ServerKind,
    (sender, receiver): (Library, Library),
    transport: Transport,
    parcel: Parcel,
) {
    let Some(meeting) = Meeting::on(kind, transport).await else {
        return;
    };
    let Some(mut receiving) =
        Driver::receive(receiver, &meeting, &meeting.account().await, &parcel).await
    else {
        return;
    };
    let to = receiving.jid.clone();
    let Some(mut sending) =
        Driver::send(sender, &meeting, &meeting.account().await, &parcel, &to).await
    else {
        return;
    };
    assert_eq!(sending.said("offered", "to").await, to);
    let offered = receiving.event("offered").await;
    assert_eq!(offered["from"], sending.jid.as_str());
    parcel.assert_offered(&offered);
    for driver in [&mut sending, &mut receiving] {
        driver.event("accepted").await;
        let used = driver.said("transport", "transport").await;
        assert_eq!(used, transport.name());
    }
    for mut driver in [sending, receiving] {
        parcel.assert_done(&driver.event("done").await);
        assert!(driver.end().await);
    }
    parcel.assert_arrived();
}

/// Makes tests such as `gloox_to_qxmpp::prosody::ibb`, and a list of them.
macro_rules! pairs {
    ($($name:ident: $sender:ident, $receiver:ident: $($cell:ident $transport:ident),+;)+) => {
        const PAIRS: &[(Library, Library, &[Transport])] = &[
            $((Library::$sender, Library::$receiver, &[$(Transport::$transport),+])),+
        ];

        $(mod $name {
            mod prosody { $(cell!($cell: Prosody, $sender, $receiver, $transport);)+ }
            mod ejabberd { $(cell!($cell: Ejabberd, $sender, $receiver, $transport);)+ }
        })+
    };
}

macro_rules! cell {
    ($name:ident: $server:ident, $sender:ident, $receiver:ident, $transport:ident) => {
        #[tokio::test]
        async fn $name() {
            use super::super::{Library, Parcel, ServerKind, Transport, pass};
            let pair = (Library::$sender, Library::$receiver);
            pass(
                ServerKind::$server,
                pair,
                Transport::$transport,
                Parcel::new(),
            )
            .await;
        }
    };
}

// slixmpp is no host for streams, so it sends through proxies only. And it dials all hosts at once,
// while QXmpp sends to whoever came last: between these two, luck decides.
pairs! {
    gloox_to_qxmpp: Gloox, Qxmpp: ibb Ibb, socks5_direct Socks5Direct, socks5_proxy Socks5Proxy;
    gloox_to_slixmpp: Gloox, Slixmpp: ibb Ibb, socks5_direct Socks5Direct, socks5_proxy Socks5Proxy;
    qxmpp_to_gloox: Qxmpp, Gloox: ibb Ibb, socks5_direct Socks5Direct, socks5_proxy Socks5Proxy;
    qxmpp_to_slixmpp: Qxmpp, Slixmpp: ibb Ibb, socks5_proxy Socks5Proxy;
    slixmpp_to_gloox: Slixmpp, Gloox: ibb Ibb, socks5_proxy Socks5Proxy;
    slixmpp_to_qxmpp: Slixmpp, Qxmpp: ibb Ibb, socks5_proxy Socks5Proxy;
}

#[test]
fn the_book_shows_who_sends_to_whom() {
    let rows = PAIRS.iter().map(|(sender, receiver, transports)| {
        Row::new(format!("{sender} to {receiver}"), transports)
    });
    Table::new(rows).assert_in_the_book();
}
