//! Files between `tubes` and the others, both ways, over each transport on each server.

use std::path::Path;

use tubes_server::ServerKind;

use crate::driver::Driver;
use crate::library::Library;
use crate::meeting::{Meeting, Transport};
use crate::parcel::Parcel;
use crate::program::{Account, Program, words};
use crate::table::{Row, Table};

async fn others_send(kind: ServerKind, library: Library, transport: Transport) {
    let Some(meeting) = Meeting::on(kind, transport).await else {
        return;
    };
    let parcel = Parcel::new();
    let account = meeting.account().await;
    let from = account.jid.to_string();
    let into = parcel.target();
    let command = ["receive", "--from", &from, "--into", text(&into), "--once"];
    let ours = somebody(&meeting).await;
    let mut receiving = start(&ours, &command);
    let to = receiving.event("online").await["jid"].clone();
    let to = to.as_str().unwrap();
    let sending = Driver::send_to_contact(library, &meeting, &account, &parcel, to).await;
    let Some(mut sending) = sending else {
        return;
    };
    let offered = receiving.event("file_offered").await;
    assert_eq!(offered["peer"], sending.jid.as_str());
    parcel.assert_offered(&offered);
    for event in ["offered", "accepted"] {
        sending.event(event).await;
    }
    both_finish(
        receiving,
        sending,
        &parcel,
        transport,
        &["carried", "checked"],
    )
    .await;
}

async fn others_receive(kind: ServerKind, library: Library, transport: Transport) {
    let Some(meeting) = Meeting::on(kind, transport).await else {
        return;
    };
    let parcel = Parcel::new();
    let account = meeting.account().await;
    let Some(mut receiving) = Driver::receive(library, &meeting, &account, &parcel).await else {
        return;
    };
    let file = parcel.file();
    let command = ["send", text(&file), &receiving.jid];
    let ours = somebody(&meeting).await;
    let sending = start(&ours, &command);
    let offered = receiving.event("offered").await;
    parcel.assert_offered(&offered);
    receiving.event("accepted").await;
    let certainty = match transport {
        Transport::Ibb | Transport::Socks5Direct => "carried",
        // It does not tell what became of what it took.
        Transport::Socks5Proxy => "unconfirmed",
    };
    both_finish(sending, receiving, &parcel, transport, &[certainty]).await;
}

/// Somebody of ours on this server, who uses this transport.
async fn somebody(meeting: &Meeting) -> Account {
    let account = Account::new(meeting.server, "tubes").await;
    account.by(meeting.transport.name())
}

/// Runs `tubes`, content with who cannot encrypt.
fn start(account: &Account, command: &[&str]) -> Program {
    let command = [command, &["--encryption", "preferred"]].concat();
    Program::start(&words(&account.with(&command)))
}

/// All of it arrives, by this transport, and `tubes` is sure of it by one of these.
async fn both_finish(
    mut ours: Program,
    mut theirs: Driver,
    parcel: &Parcel,
    transport: Transport,
    certainties: &[&str],
) {
    let used = theirs.said("transport", "transport").await;
    assert_eq!(used, transport.name());
    let started = ours.event("file_started").await;
    assert_eq!(started["transport"], transport.name());
    assert_eq!(started["encrypted"], false);
    parcel.assert_done(&theirs.event("done").await);
    assert!(theirs.end().await);
    let done = ours.event("file_done").await;
    let certainty = done["certainty"].as_str().unwrap();
    assert!(certainties.contains(&certainty), "{done}");
    let (code, complaints) = ours.end().await;
    match certainty {
        "unconfirmed" => assert_eq!(code, Some(69), "{complaints}"),
        _ => assert_eq!((code, complaints), (Some(0), String::new())),
    }
    parcel.assert_arrived();
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Makes tests such as `gloox_sends::prosody::ibb`, and a list of them.
macro_rules! parts {
    ($($name:ident: $library:ident $part:ident $verb:literal: $($cell:ident $transport:ident),+;)+) => {
        const PARTS: &[(Library, &str, &[Transport])] = &[
            $((Library::$library, $verb, &[$(Transport::$transport),+])),+
        ];

        $(mod $name {
            mod prosody { $(cell!($cell: Prosody, $library, $part, $transport);)+ }
            mod ejabberd { $(cell!($cell: Ejabberd, $library, $part, $transport);)+ }
        })+
    };
}

macro_rules! cell {
    ($name:ident: $server:ident, $library:ident, $part:ident, $transport:ident) => {
        #[tokio::test]
        async fn $name() {
            use super::super::{Library, ServerKind, Transport, $part};
            $part(
                ServerKind::$server,
                Library::$library,
                Transport::$transport,
            )
            .await;
        }
    };
}

// slixmpp is no host for streams, so it sends through proxies only.
parts! {
    gloox_sends: Gloox others_send "sends": ibb Ibb, socks5_direct Socks5Direct, socks5_proxy Socks5Proxy;
    gloox_receives: Gloox others_receive "receives": ibb Ibb, socks5_direct Socks5Direct, socks5_proxy Socks5Proxy;
    qxmpp_sends: Qxmpp others_send "sends": ibb Ibb, socks5_direct Socks5Direct, socks5_proxy Socks5Proxy;
    qxmpp_receives: Qxmpp others_receive "receives": ibb Ibb, socks5_direct Socks5Direct, socks5_proxy Socks5Proxy;
    slixmpp_sends: Slixmpp others_send "sends": ibb Ibb, socks5_proxy Socks5Proxy;
    slixmpp_receives: Slixmpp others_receive "receives": ibb Ibb, socks5_direct Socks5Direct, socks5_proxy Socks5Proxy;
}

#[test]
fn the_book_shows_with_whom_we_exchange_files() {
    let rows = PARTS
        .iter()
        .map(|(library, verb, transports)| Row::new(format!("{library} {verb}"), transports));
    Table::new(rows).assert_in_the_book();
}
