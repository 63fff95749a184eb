//! A chat for contacts, within the program itself: greets each by name, and passes on what is said.
//!
//! `cargo run --example chat -- alice@example.org fernand@example.net`, with the
//! password in the environment variable `PASSWORD`. Contacts accept the tube with any client, such as
//! `tubes accept`, and connect with `nc`.

use std::env;
use std::error::Error;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::time::timeout;
use tubes::{Account, Audience, BareJid, Parameters, StreamTubeServer, Tubes};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let jid = args.next().ok_or("usage: chat ACCOUNT CONTACT…")?;
    let account = Account::new(jid.parse()?, env::var("PASSWORD")?)?;
    let (tubes, _) = Tubes::builder(account).start().await?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = StreamTubeServer::builder()
        .services_for_contacts(["x-chat"])
        .with_monitoring()
        .build();
    server.export(&listener, Parameters::default())?;
    let account = server.add(&tubes).await?;
    for contact in args {
        let contact: BareJid = contact.parse()?;
        tubes.befriend(&contact).await;
        let audience = Audience::Contact(contact);
        server.offer(&account, audience, "x-chat").await?;
    }

    tokio::select! {
        ended = serve(&server, listener) => ended?,
        _ = tokio::signal::ctrl_c() => {}
    }
    server.close().await;
    tubes.leave().await;
    Ok(())
}

/// Lets everybody in who comes through a tube.
pub(crate) async fn serve(server: &StreamTubeServer, listener: TcpListener) -> io::Result<()> {
    let (said, _) = broadcast::channel(64);
    loop {
        let (stream, source) = listener.accept().await?;
        let (server, said) = (server.clone(), said.clone());
        tokio::spawn(async move {
            // A connection is accepted a moment before it is known whose it is. What comes from
            // elsewhere on this machine is nobody's.
            let who = timeout(Duration::from_secs(60), server.behind(source)).await;
            if let Ok(Some(connection)) = who {
                let name = connection.contact.to_bare();
                if let Err(why) = talk(stream, &name, said).await {
                    println!("{name}: {why}");
                }
            }
        });
    }
}

/// Passes on what this one says, and tells it what others say.
async fn talk(
    mut stream: TcpStream,
    name: &BareJid,
    said: broadcast::Sender<String>,
) -> io::Result<()> {
    let mut others = said.subscribe();
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    writer
        .write_all(format!("Welcome, {name}!\n").as_bytes())
        .await?;
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                // Nobody else may be there to hear it.
                Some(line) => drop(said.send(format!("{name}: {line}\n"))),
                None => return Ok(()),
            },
            heard = others.recv() => match heard {
                Ok(line) => writer.write_all(line.as_bytes()).await?,
                Err(why) => return Err(io::Error::other(why)),
            },
        }
    }
}
