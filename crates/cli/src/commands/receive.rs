//! `tubes receive`: receives the files that contacts send.

use std::sync::Arc;

use tubes::{AcceptFileError, BareJid, Destination, Direction, Event, FileId, FileTransfer, Tubes};

use super::asking::{Asking, Decision};
use super::transfer::Transfers;
use crate::args::{Global, Receive};
use crate::exit::{Kind, Stop};
use crate::feed::Feed;
use crate::interrupt::Interrupt;
use crate::online::Online;
use crate::output::Output;
use crate::terminal::Terminal;

pub(crate) async fn run(
    global: &Global,
    receive: Receive,
    interrupt: &Interrupt,
) -> Result<(), Stop> {
    let output = Output::new(global.output);
    let consent = Consent::of(&receive)?;
    // Better now than when somebody has offered something in vain.
    drop(destination(&receive)?);
    let from = receive.from.as_ref();
    let limits = receive.bounds.limits();
    let online = Online::log_in_for_files(global, from, limits, output, interrupt).await?;
    online
        .work(interrupt, async |tubes: &Tubes, feed: &mut Feed| {
            let from = from.map(BareJid::to_string);
            let from = from.unwrap_or_else(|| "contacts".to_owned());
            let into = receive.into.display();
            feed.remark(&format!(
                "receiving files of {from} into {into}; interrupt to end"
            ))?;
            let mut receiving = Receiving {
                tubes,
                receive: &receive,
                transfers: Transfers::new(output),
                asking: consent.asking(),
            };
            receiving.run(feed).await
        })
        .await
}

/// Who decides on what comes.
#[derive(Debug)]
enum Consent {
    /// Somebody at the terminal.
    Asked(Arc<Terminal>),
    /// Everything is received that comes from whom it may.
    Given,
}

impl Consent {
    fn of(receive: &Receive) -> Result<Self, Stop> {
        let is_named = receive.from.is_some() || receive.accept_all;
        if is_named && !receive.ask {
            return Ok(Self::Given);
        }
        match Terminal::find() {
            Some(terminal) => Ok(Self::Asked(Arc::new(terminal))),
            None => Err(Stop::Usage(
                "there is no terminal to ask on: name --from JID, or say --accept-all".to_owned(),
            )),
        }
    }

    /// Where to ask.
    fn asking(self) -> Option<Asking> {
        match self {
            Self::Asked(terminal) => Some(Asking::at(terminal)),
            Self::Given => None,
        }
    }
}

fn destination(receive: &Receive) -> Result<Destination, Stop> {
    let there = Destination::open(&receive.into);
    let there = there.map_err(|why| Stop::Usage(why.to_string()))?;
    Ok(there.with_overwrite(receive.existing.into()))
}

struct Receiving<'a> {
    tubes: &'a Tubes,
    receive: &'a Receive,
    transfers: Transfers,
    asking: Option<Asking>,
}

impl Receiving<'_> {
    async fn run(&mut self, feed: &mut Feed) -> Result<(), Stop> {
        loop {
            tokio::select! {
                outcome = self.transfers.next() => {
                    if outcome.is_done() && self.receive.once {
                        // What was heard in the same moment is told, too.
                        return feed.drain().await;
                    }
                }
                decided = decided(&mut self.asking) => {
                    for (file, decision) in decided {
                        self.decided(file, decision, feed).await?;
                    }
                }
                event = feed.next() => self.note(event?, feed).await?,
            }
        }
    }

    async fn note(&mut self, event: Event, feed: &Feed) -> Result<(), Stop> {
        match event {
            Event::FileOffered {
                file,
                direction: Direction::In,
                ..
            } => self.offered(file, feed).await?,
            Event::FileFailed { file, .. } => {
                if let Some(asking) = &mut self.asking {
                    asking.withdraw(file);
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn offered(&mut self, file: FileId, feed: &Feed) -> Result<(), Stop> {
        let Some(transfer) = self.tubes.file(file) else {
            return Ok(());
        };
        let from = transfer.peer().to_bare();
        if self.receive.from.as_ref().is_some_and(|only| *only != from) {
            feed.remark(&format!(
                "file {file} is declined: only those of --from are received"
            ))?;
            decline(transfer);
            return Ok(());
        }
        let decision = match &mut self.asking {
            None => Some(Decision::Receive),
            Some(asking) => asking.ask(&transfer),
        };
        match decision {
            None => Ok(()),
            Some(decision) => self.decided(file, decision, feed).await,
        }
    }

    async fn decided(&mut self, file: FileId, decision: Decision, feed: &Feed) -> Result<(), Stop> {
        let Some(transfer) = self.tubes.file(file) else {
            return Ok(());
        };
        if decision == Decision::Decline {
            decline(transfer);
            return Ok(());
        }
        let there = match destination(self.receive) {
            Ok(there) => there,
            // It may be there again for the next one.
            Err(why) => {
                feed.remark(&format!("file {file} is declined: {why}"))?;
                decline(transfer);
                return Ok(());
            }
        };
        match transfer.accept(there).await {
            Ok(()) => self.transfers.watch(transfer),
            // Taken back before it could be accepted.
            Err(AcceptFileError::Gone) => {}
            Err(why) => return Err(Stop::failed(Kind::Gone, why.to_string())),
        }
        Ok(())
    }
}

/// Says no; nobody waits for that.
fn decline(transfer: FileTransfer) {
    tokio::spawn(async move { transfer.give_up().await });
}

/// What somebody at the terminal decides next; never, if nobody is asked.
async fn decided(asking: &mut Option<Asking>) -> Vec<(FileId, Decision)> {
    match asking {
        None => std::future::pending().await,
        Some(asking) => asking.next().await,
    }
}
