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

use tubes::{BareJid, Event, TubeId, Tubes};

use crate::args::{Args, Command, Global};
use crate::exit::Stop;
use crate::feed::Feed;
use crate::interrupt::Interrupt;

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
