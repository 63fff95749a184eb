//! `tubes offer`: shares the service that listens at an address.

use tubes::{Address, BareJid, Event, Failure, FailureKind, Parameters, TubeId, Tubes};

use super::name;
use crate::args::{Global, Offer};
use crate::exit::Stop;
use crate::interrupt::Interrupt;
use crate::online::{Feed, Online};
use crate::output::Output;
use crate::parameter::Parameter;

pub(crate) async fn run(global: &Global, offer: Offer, interrupt: &Interrupt) -> Result<(), Stop> {
    let mut output = Output::new(global.output);
    if offer.address == Address::Stdio {
        output = output.beside_stdio()?;
    }
    let parameters = together(offer.parameters)?;
    let wanted = tubes::Offer::new(offer.to.clone(), offer.service.clone(), offer.address)
        .with_parameters(parameters);

    let online = Online::log_in(global, None, output, interrupt).await?;
    online
        .work(interrupt, async |tubes: &Tubes, feed: &mut Feed| {
            name(tubes, &offer.to, global).await;
            feed.remark(&format!(
                "offering {} to {} as soon as it is online; interrupt to end",
                offer.service, offer.to
            ))?;
            loop {
                let tube = tubes.offer(wanted.clone()).await?;
                let failure = closed(feed, tube).await?;
                await_return(feed, &offer.to, failure).await?;
            }
        })
        .await
}

/// Waits for the end of the tube.
async fn closed(feed: &mut Feed, tube: TubeId) -> Result<Option<Failure>, Stop> {
    loop {
        match feed.next().await? {
            Event::TubeClosed { tube: which, error } if which == tube => return Ok(error),
            _ => {}
        }
    }
}

/// Decides whether a closed tube is to be offered again, and when.
async fn await_return(
    feed: &mut Feed,
    peer: &BareJid,
    failure: Option<Failure>,
) -> Result<(), Stop> {
    match failure {
        // An offer waits for the contact by itself.
        Some(Failure {
            kind: FailureKind::Gone,
            ..
        }) => feed.remark(&format!("{peer} has left; offering again when it returns")),
        // The same program would close it again: wait for another, or for a new start.
        None
        | Some(Failure {
            kind: FailureKind::Closed,
            ..
        }) => {
            feed.remark(&format!(
                "{peer} has closed the tube; offering again when it comes online anew"
            ))?;
            loop {
                match feed.next().await? {
                    Event::PeerOnline { peer: who } if who.to_bare() == *peer => return Ok(()),
                    _ => {}
                }
            }
        }
        Some(other) => Err(other.into()),
    }
}

fn together(list: Vec<Parameter>) -> Result<Parameters, Stop> {
    let mut parameters = Parameters::default();
    for Parameter { key, value } in list {
        if parameters.get(&key).is_some() {
            return Err(Stop::Usage(format!("--param gives {key} twice")));
        }
        parameters
            .insert(key.as_str(), value)
            .map_err(|why| Stop::Usage(format!("--param {key} cannot be sent: {why}")))?;
    }
    Ok(parameters)
}
