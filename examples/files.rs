//! Sends files to a contact, or receives those of one.
//!
//! `cargo run --example files -- send alice@example.org fernand@example.net photo.jpg trip`, and
//! `cargo run --example files -- receive fernand@example.net alice@example.org inbox`, with the
//! password in the environment variable `PASSWORD`.

use std::env;
use std::error::Error;
use std::path::Path;

use tubes::files::walk;
use tubes::{
    Account, BareJid, Destination, Direction, Event, Events, FileTransfer, Outcome, SendFile, Step,
    Tubes,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let [what @ ("send" | "receive"), jid, contact, paths @ ..] = &args[..] else {
        return Err("usage: files send|receive ACCOUNT CONTACT PATH…".into());
    };
    let account = Account::new(jid.parse()?, env::var("PASSWORD")?)?;
    let contact: BareJid = contact.parse()?;

    let builder = Tubes::builder(account);
    let builder = match *what {
        "receive" => builder.receive_files().without_tubes(),
        _ => builder,
    };
    let (tubes, mut events) = builder.start().await?;
    tubes.befriend(&contact).await;
    tokio::select! {
        ended = async {
            for path in paths.iter().map(Path::new) {
                match *what {
                    "receive" => receive(&tubes, &mut events, &contact, path).await?,
                    _ => send(&tubes, &contact, path).await?,
                }
            }
            Ok::<_, Box<dyn Error>>(())
        } => ended?,
        _ = tokio::signal::ctrl_c() => {}
    }
    tubes.leave().await;
    Ok(())
}

/// Sends a file, or all files of a folder, one after the other; waits until the contact has them.
pub(crate) async fn send(
    tubes: &Tubes,
    contact: &BareJid,
    path: &Path,
) -> Result<(), Box<dyn Error>> {
    for file in walk(path)?.files {
        let file = SendFile::listed(contact.clone(), file);
        follow(tubes.send_file(file).await?).await;
    }
    Ok(())
}

/// Puts all that the contact sends into a folder, and declines what others send.
pub(crate) async fn receive(
    tubes: &Tubes,
    events: &mut Events,
    contact: &BareJid,
    folder: &Path,
) -> Result<(), Box<dyn Error>> {
    while let Some(event) = events.next().await {
        if let Event::FileOffered {
            file,
            direction: Direction::In,
            ..
        } = event
            && let Some(transfer) = tubes.file(file)
        {
            if transfer.peer().to_bare() != *contact {
                transfer.give_up().await;
                continue;
            }
            transfer.accept(Destination::open(folder)?).await?;
            // The next one need not wait for it.
            tokio::spawn(follow(transfer));
        }
    }
    Ok(())
}

/// Says how far it comes, and how it ends.
async fn follow(mut transfer: FileTransfer) {
    // As the other side has it: not for a terminal as it is.
    let name = format!("{:?}", transfer.particulars().name);
    while let Some(step) = transfer.next().await {
        match step {
            Step::Started { transport, .. } => println!("{name} flows over {transport}"),
            Step::Progress { bytes, size } => println!("{name}: {bytes} of {size} bytes"),
            Step::Ended(Outcome::Done(delivered)) => println!("{name}: {:?}", delivered.certainty),
            Step::Ended(Outcome::Failed(why)) => println!("{name}: {why}"),
            Step::Ended(Outcome::Unconfirmed) => {
                println!("{name}: nobody knows whether it arrived")
            }
            _ => {}
        }
    }
}
