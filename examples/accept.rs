//! Accepts every tube that a contact offers, each at a port of its own.
//!
//! `cargo run --example accept -- fernand@example.net alice@example.org`, with the password in
//! the environment variable `PASSWORD`.

use std::env;
use std::error::Error;

use tubes::{Access, Account, Direction, Event, Tubes};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(jid), Some(contact)) = (args.next(), args.next()) else {
        return Err("usage: accept ACCOUNT CONTACT".into());
    };
    let account = Account::new(jid.parse()?, env::var("PASSWORD")?)?;
    let contact = contact.parse()?;

    let (tubes, mut events) = Tubes::builder(account).start().await?;
    tubes.befriend(&contact).await;
    while let Some(event) = events.next().await {
        match event {
            Event::TubeOffered {
                tube,
                peer,
                service,
                direction: Direction::In,
                ..
            } if peer.to_bare() == contact => {
                let address = tubes
                    .accept(tube, "127.0.0.1:0".parse()?, Access::Localhost)
                    .await?;
                println!("{service} of {peer} is at {address}");
            }
            Event::TubeClosed {
                error: Some(error), ..
            } => println!("{error}"),
            _ => {}
        }
    }
    Ok(())
}
