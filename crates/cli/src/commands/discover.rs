//! `tubes discover`: which of a contact's resources are online, and what each can do.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tubes::session::{Abilities, Sight};
use tubes::{BareJid, Contact, Limits, Tubes};

use super::name;
use crate::args::{Discover, Global};
use crate::exit::{Kind, Stop};
use crate::feed::Feed;
use crate::interrupt::Interrupt;
use crate::online::Online;
use crate::output::{Foreign, Output, Report, Resource, Who};

pub(crate) async fn run(
    global: &Global,
    discover: &Discover,
    interrupt: &Interrupt,
) -> Result<(), Stop> {
    let output = Output::new(global.output);
    // The contact's resources are what was asked for, not that this side came and went.
    let events = match global.verbose {
        0 => output.muted(),
        _ => output.beside_stdio().unwrap_or_else(|_| output.muted()),
    };
    let online = Online::log_in(global, None, Limits::new(), events, interrupt).await?;
    online
        .work(interrupt, async |tubes: &Tubes, feed: &mut Feed| {
            let peer = &discover.peer;
            name(tubes, peer, global).await;
            let contact = tokio::select! {
                contact = seen(tubes, peer, output) => contact?,
                stop = lost(feed) => return Err(stop),
            };
            if contact.resources.is_empty() {
                return Err(nobody(peer, contact.sight, global));
            }
            for resource in &contact.resources {
                output.report(&Report::Resource(report(resource)))?;
            }
            Ok(())
        })
        .await
}

/// The contact as it is when everybody had time to say who is there, and what each can do.
async fn seen(tubes: &Tubes, peer: &BareJid, output: Output) -> Result<Contact, Stop> {
    let begun = Instant::now();
    let mut changed = begun;
    let mut before = None;
    let mut silent = true;
    // Presence comes in no order and has no end, so it is looked at until it holds still.
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let contact = tubes.contact(peer).await.map_err(gone)?;
        let now = Instant::now();
        let settled = now.duration_since(changed) >= SETTLED;
        if is_complete(&contact) && settled || now.duration_since(begun) >= PATIENCE {
            return Ok(contact);
        }
        if silent && contact.resources.is_empty() && now.duration_since(begun) >= SILENCE {
            silent = false;
            output.remark(&format!("waiting for {peer} to be online"))?;
        }
        if before.as_ref() != Some(&contact) {
            changed = now;
            before = Some(contact);
        }
    }
}

/// Whether somebody is there, and all who are have said what they can do.
fn is_complete(contact: &Contact) -> bool {
    let mut resources = contact.resources.iter();
    !contact.resources.is_empty() && resources.all(|resource| resource.abilities.is_some())
}

async fn lost(feed: &mut Feed) -> Stop {
    loop {
        if let Err(stop) = feed.next().await {
            return stop;
        }
    }
}

fn gone(gone: tubes::transport::Gone) -> Stop {
    Stop::failed(Kind::Gone, gone.to_string())
}

fn nobody(peer: &BareJid, sight: Sight, global: &Global) -> Stop {
    let why = match sight {
        Sight::Visible => format!("{peer} is offline: none of its programs is logged in"),
        Sight::Hidden if global.no_subscribe => format!(
            "{peer} does not let this account see whether it is online: leave --no-subscribe out \
             to ask for that"
        ),
        Sight::Hidden => format!(
            "{peer} has not yet let this account see whether it is online: it was asked for that, \
             and agrees by running tubes with this account's JID, or in its chat program"
        ),
    };
    Stop::failed(Kind::Unreachable, why)
}

fn report(resource: &tubes::session::Resource) -> Resource {
    let answered = resource.abilities.is_some();
    let Abilities {
        files,
        ours,
        services,
        transports,
        tubes,
        ..
    } = resource.abilities.clone().unwrap_or_default();
    Resource {
        jid: Who::new(&resource.jid),
        answered,
        tubes,
        files,
        ours,
        services: services.into_iter().map(Foreign::new).collect(),
        transports: transports.into_iter().map(short).collect(),
    }
}

/// The name of a transport for people. Both kinds of SOCKS5 are one on the wire.
fn short(namespace: &'static str) -> &'static str {
    match namespace {
        "http://jabber.org/protocol/bytestreams" => "socks5",
        "http://jabber.org/protocol/ibb" => "ibb",
        other => other,
    }
}

/// How often the picture is looked at. Nobody notices a quarter of a second.
const LOOK: Duration = Duration::from_millis(250);

/// A picture that does not change for so long is complete: servers answer for all resources of
/// a contact at once.
const SETTLED: Duration = Duration::from_secs(1);

/// Only a longer wait is worth a word.
const SILENCE: Duration = Duration::from_secs(3);

/// Presence of a contact arrives within a few round trips between the servers, if it does.
const PATIENCE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_transport_of_the_ladder_has_the_name_of_its_option() {
        let known = tubes::TransportName::Ibb.to_string();
        let ibb = tubes::transport::Transport::namespace(&tubes::Ibb::new());
        assert_eq!(short(ibb), known);
    }
}
