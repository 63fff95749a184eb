//! The commands, one file each.

mod accept;
mod completions;
mod connect;
mod demo;
mod discover;
mod doctor;
mod man;
mod offer;
mod trust;

use tubes::{Audience, BareJid, Event, TubeId, Tubes};

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
        Command::Trust(trust) => trust::run(&global, &trust),
    }
}

/// Naming a contact on the command line is consent to deal with it.
async fn name(tubes: &Tubes, contact: &BareJid, global: &Global) {
    if global.no_subscribe {
        tubes.trust(contact).await;
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
        let error = match feed.next().await? {
            Event::ConnectionClosed {
                tube: which, error, ..
            }
            | Event::TubeClosed {
                tube: which, error, ..
            } if which == tube => error,
            _ => continue,
        };
        return error.map_or(Ok(()), |failure| Err(failure.into()));
    }
}
