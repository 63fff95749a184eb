//! `tubes connect`: one connection between standard input and output and a contact's tube.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tubes::{Socket, TubeId, Tubes};

use super::accept::Offers;
use super::{name, used_once};
use crate::args::{Connect, Global};
use crate::exit::{Kind, Stop};
use crate::feed::Feed;
use crate::interrupt::Interrupt;
use crate::online::Online;
use crate::output::Output;

pub(crate) async fn run(
    global: &Global,
    connect: Connect,
    interrupt: &Interrupt,
) -> Result<(), Stop> {
    let output = Output::new(global.output).beside_stdio()?;
    // Whoever runs this as a proxy command wants to hear of trouble only, and of new keys.
    let events = match global.verbose {
        0 => output.hushed(),
        _ => output,
    };
    let (wanted, limits) = (connect.service.as_deref(), connect.bounds.limits());
    let online = Online::log_in(global, wanted, limits, events, interrupt).await?;
    online
        .work(interrupt, async |tubes: &Tubes, feed: &mut Feed| {
            name(tubes, &connect.peer, global).await;
            let tube = offered(feed, &connect, output).await?;
            tubes.attach(tube, Socket::stdio()?).await?;
            used_once(feed, tube).await
        })
        .await
}

async fn offered(feed: &mut Feed, connect: &Connect, output: Output) -> Result<TubeId, Stop> {
    let mut offers = Offers::new(&connect.peer, connect.service.as_deref());
    let begun = Instant::now();
    let patience = Duration::from_secs(connect.wait.into());
    // Whoever gives up sooner has no need of it.
    let mut silent = patience > SILENCE;
    loop {
        if let Some(invitation) = offers.take() {
            return Ok(invitation.tube);
        }
        let until = begun + if silent { SILENCE } else { patience };
        match timeout_at(until, feed.next()).await {
            Ok(event) => offers.note(&event?),
            Err(_) if silent => {
                silent = false;
                output.remark(&format!(
                    "waiting for {} to offer {}",
                    connect.peer,
                    what(connect)
                ))?;
            }
            Err(_) => return Err(nothing_offered(connect)),
        }
    }
}

fn nothing_offered(connect: &Connect) -> Stop {
    Stop::failed(
        Kind::TimedOut,
        format!(
            "{} did not offer {} within {} s: is `tubes offer` running there?",
            connect.peer,
            what(connect),
            connect.wait,
        ),
    )
}

fn what(connect: &Connect) -> &str {
    connect.service.as_deref().unwrap_or("a tube")
}

/// An offer that is there arrives within this time; only a longer wait is worth a word.
const SILENCE: Duration = Duration::from_secs(3);
