//! The commands, one file each.

mod accept;
mod connect;
mod demo;
mod offer;

use tubes::{BareJid, Tubes};

use crate::args::{Args, Command, Global};
use crate::exit::Stop;
use crate::interrupt::Interrupt;

/// Does what the command line says.
pub(crate) async fn run(args: Args) -> Result<(), Stop> {
    let interrupt = Interrupt::install()?;
    let global = args.global;
    match args.command {
        Command::Accept(accept) => accept::run(&global, accept, &interrupt).await,
        Command::Connect(connect) => connect::run(&global, connect, &interrupt).await,
        Command::Demo(demo) => demo::run(&global, demo, &interrupt).await,
        Command::Offer(offer) => offer::run(&global, offer, &interrupt).await,
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
