//! The commands, one file each.

mod accept;
mod asking;
mod completions;
mod connect;
mod demo;
mod discover;
mod doctor;
mod man;
mod offer;
mod queue;
mod receive;
mod send;
mod transfer;
mod trust;

use std::time::Duration;

use tokio::time::timeout;
use tubes::{Audience, BareJid, Event, FailureKind, TubeId, Tubes};

use crate::args::{Args, Command, Global, Party, Room};
use crate::exit::{Kind, Stop};
use crate::feed::Feed;
use crate::interrupt::Interrupt;
use crate::password;

/// Does what the command line says.
pub(crate) async fn run(args: Args) -> Result<(), Stop> {
    let interrupt = Interrupt::install()?;
    let global = args.global;
    match args.command {
        Command::Accept(accept) => accept::run(&global, accept, &interrupt).await,
        Command::Completions(completions) => completions::run(&completions),
        Command::Connect(connect) => connect::run(&global, connect, &interrupt).await,
        Command::Demo(demo) => demo::run(&global, demo, &interrupt).await,
        Command::Discover(discover) => discover::run(&global, &discover, &interrupt).await,
        Command::Doctor => doctor::run(&global, &interrupt).await,
        Command::Man(man) => man::run(&man),
        Command::Offer(offer) => offer::run(&global, offer, &interrupt).await,
        Command::Receive(receive) => receive::run(&global, receive, &interrupt).await,
        Command::Send(send) => send::run(&global, send, &interrupt).await,
        Command::Trust(trust) => trust::run(&global, &trust),
    }
}

/// Naming a contact on the command line is consent to deal with it.
pub(crate) async fn name(tubes: &Tubes, contact: &BareJid, global: &Global) {
    if global.no_subscribe {
        tubes.deal_with(contact).await;
    } else {
        tubes.befriend(contact).await;
    }
}

/// Deals with a contact, or comes into a room; what a tube there is for.
async fn meet(tubes: &Tubes, party: &Party, global: &Global) -> Result<Audience, Stop> {
    match party {
        Party::Contact(contact) => {
            name(tubes, contact, global).await;
            Ok(Audience::Contact(contact.clone()))
        }
        Party::Room(room) => {
            enter(tubes, room).await?;
            Ok(Audience::Room(room.jid.clone()))
        }
    }
}

/// Comes into a room, by the account's own name if no other is wanted.
async fn enter(tubes: &Tubes, room: &Room) -> Result<(), Stop> {
    let nick = match &room.nick {
        Some(nick) => nick.clone(),
        None => own_name(tubes).await?,
    };
    let wanted = room.jid.with_resource_str(&nick);
    let wanted = wanted.map_err(|why| Stop::Usage(format!("--nick {nick}: {why}")))?;
    match &room.password_file {
        Some(path) => {
            let password = password::from_file(path)?;
            tubes.enter_with_password(wanted, password).await?;
        }
        None => drop(tubes.enter(wanted).await?),
    }
    Ok(())
}

async fn own_name(tubes: &Tubes) -> Result<String, Stop> {
    let login = tubes.login().await;
    let login = login.map_err(|why| Stop::failed(Kind::Gone, why.to_string()))?;
    let node = login.jid.node().map(ToString::to_string);
    node.ok_or_else(|| Stop::Usage("this account has no name: choose one with --nick".to_owned()))
}

/// Waits for the end of a tube's only connection.
///
/// Every connection ends with one such event, also one that never opened.
async fn used_once(feed: &mut Feed, tube: TubeId) -> Result<(), Stop> {
    loop {
        let error = match next(feed).await? {
            Event::ConnectionClosed {
                tube: which, error, ..
            }
            | Event::TubeClosed {
                tube: which, error, ..
            } if which == tube => error,
            _ => continue,
        };
        return match error {
            Some(failure) => match failure.kind {
                FailureKind::Gone | FailureKind::Closed => {
                    Err(put_out(feed).await.unwrap_or_else(|| failure.into()))
                }
                _ => Err(failure.into()),
            },
            None => Ok(()),
        };
    }
}

/// The next event. Whoever is put out of the room, of which a command has one, has nothing to wait for.
async fn next(feed: &mut Feed) -> Result<Event, Stop> {
    match feed.next().await? {
        Event::RoomLeft {
            error: Some(failure),
            ..
        } => Err(failure.into()),
        event => Ok(event),
    }
}

/// Why this side was put out of its room, if that is what has ended its connections.
async fn put_out(feed: &mut Feed) -> Option<Stop> {
    if !feed.is_in_room() {
        return None;
    }
    let stopped = async {
        loop {
            if let Err(stop) = next(feed).await {
                return stop;
            }
        }
    };
    timeout(NEWS, stopped).await.ok()
}

/// Others may hear that this side was put out, and break its connections, before this side hears it: on a
/// busy server seconds before. Only who has lost its connection in a room, and with it all that it is there
/// for, waits so long.
const NEWS: Duration = Duration::from_secs(5);
