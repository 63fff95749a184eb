//! Offers a service to a contact, and says who uses it.
//!
//! `cargo run --example offer -- alice@example.org 127.0.0.1:8000 fernand@example.net`, with the
//! password in the environment variable `PASSWORD`.

use std::env;
use std::error::Error;

use tubes::{Account, Event, Offer, Tubes};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(jid), Some(service), Some(contact)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: offer ACCOUNT ADDRESS CONTACT".into());
    };
    let account = Account::new(jid.parse()?, env::var("PASSWORD")?)?;
    let contact = contact.parse()?;

    let (tubes, mut events) = Tubes::builder(account).start().await?;
    tubes.befriend(&contact).await;
    tubes
        .offer(Offer::new(contact, "x-example", service.parse()?))
        .await?;

    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::TubeOffered { peer, .. }) => println!("offered to {peer}"),
                Some(Event::ConnectionOpened { connection, peer, transport, .. }) => {
                    println!("{connection}: {peer} connected over {transport}");
                }
                Some(Event::ConnectionClosed { connection, sent, received, error, .. }) => {
                    let end = error.map_or_else(|| "ended".to_owned(), |error| error.to_string());
                    println!("{connection}: {end}; {sent} bytes sent, {received} received");
                }
                Some(_) => {}
                None => return Ok(()),
            },
            _ = tokio::signal::ctrl_c() => {
                tubes.leave().await;
                return Ok(());
            }
        }
    }
}
