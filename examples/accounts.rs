//! Several accounts in one process: shares a service with a contact from each of them.
//!
//! `cargo run --example accounts -- 127.0.0.1:8000 fernand@example.net alice@example.org
//! alice@example.net`, with the password of all of them in the environment variable `PASSWORD`.

use std::env;
use std::error::Error;

use futures_util::stream::{StreamExt, select_all};
use tubes::{Account, BareJid, Event, Offer, Tubes};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(service), Some(contact)) = (args.next(), args.next()) else {
        return Err("usage: accounts ADDRESS CONTACT ACCOUNT…".into());
    };
    let contact: BareJid = contact.parse()?;

    let (mut accounts, mut feeds) = (Vec::new(), Vec::new());
    for jid in args {
        let account = Account::new(jid.parse()?, env::var("PASSWORD")?)?;
        let (tubes, events) = Tubes::builder(account).start().await?;
        tubes.befriend(&contact).await;
        let offer = Offer::new(contact.clone(), "x-example", service.parse()?);
        tubes.offer(offer).await?;
        accounts.push(tubes);
        // The events are a stream: they can be named, merged, and filtered like any other.
        feeds.push(events.map(move |event| (jid.clone(), event)));
    }

    let mut events = select_all(feeds);
    loop {
        tokio::select! {
            Some((jid, event)) = events.next() => tell(&jid, &event),
            _ = tokio::signal::ctrl_c() => break,
            else => break,
        }
    }
    for tubes in accounts {
        tubes.leave().await;
    }
    Ok(())
}

fn tell(jid: &str, event: &Event) {
    match event {
        Event::TubeOffered { peer, .. } => println!("{jid}: offered to {peer}"),
        Event::ConnectionOpened { peer, .. } => println!("{jid}: {peer} connected"),
        Event::Offline { reason, .. } => println!("{jid}: {reason}"),
        _ => {}
    }
}
