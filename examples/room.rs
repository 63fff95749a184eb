//! A web page for a chat room: greets each visitor by its name there, and prints who comes and goes.
//!
//! `cargo run --example room -- alice@example.org tea@rooms.example.org/alice`, with the password in
//! the environment variable `PASSWORD`. Others in the room accept the tube with any client, and open
//! the page in a browser.

use std::env;
use std::error::Error;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tubes::{Account, Audience, Event, Events, FullJid, Parameters, StreamTubeServer, Tubes};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(jid), Some(room)) = (args.next(), args.next()) else {
        return Err("usage: room ACCOUNT ROOM/NAME".into());
    };
    let account = Account::new(jid.parse()?, env::var("PASSWORD")?)?;
    let (tubes, events) = Tubes::builder(account).start().await?;
    let own = tubes.enter(room.parse()?).await?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = StreamTubeServer::builder()
        .services_for_rooms(["http"])
        .with_monitoring()
        .build();
    server.export(&listener, Parameters::default())?;
    let account = server.add(&tubes).await?;
    let here = Audience::Room(own.to_bare());
    server.offer(&account, here, "http").await?;

    tokio::select! {
        ended = serve(&server, listener) => ended?,
        () = report(events) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    server.close().await;
    tubes.leave().await;
    Ok(())
}

/// Prints what happens, until the account is gone for good.
async fn report(mut events: Events) {
    while let Some(event) = events.next().await {
        if let Some(news) = news(&event) {
            println!("{news}");
        }
    }
}

/// What of it people want to know.
pub(crate) fn news(event: &Event) -> Option<String> {
    match event {
        Event::OccupantCame { occupant, .. } => Some(format!("{} is here", occupant.resource())),
        Event::OccupantLeft { occupant } => Some(format!("{} went", occupant.resource())),
        Event::RoomLost { room } => Some(format!("{room} is lost, and entered again")),
        Event::RoomLeft { error, .. } => error.as_ref().map(ToString::to_string),
        Event::Offline { reason, .. } => Some(reason.clone()),
        _ => None,
    }
}

/// Shows the page to everybody who comes through the tube.
pub(crate) async fn serve(server: &StreamTubeServer, listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, source) = listener.accept().await?;
        let server = server.clone();
        tokio::spawn(timeout(PATIENCE, async move {
            // What comes from elsewhere on this machine is nobody's, and waits in vain.
            let Some(connection) = server.behind(source).await else {
                return;
            };
            match show(stream, &connection.contact).await {
                Ok(()) => println!("{} has seen the page", connection.contact.resource()),
                Err(why) => println!("{}: {why}", connection.contact.resource()),
            }
        }));
    }
}

/// Answers whatever is asked with the page.
async fn show(mut stream: TcpStream, visitor: &FullJid) -> io::Result<()> {
    let mut question = BufReader::new(&mut stream).take(LONGEST).lines();
    while question
        .next_line()
        .await?
        .is_some_and(|line| !line.is_empty())
    {}
    // It is no HTML: people may call themselves what they like, also by a piece of a script.
    let (name, room) = (visitor.resource(), visitor.to_bare());
    let page = format!("Hello, {name}!\nThis page is for those in {room} alone.\n");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\
         X-Content-Type-Options: nosniff\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        page.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(page.as_bytes()).await?;
    stream.shutdown().await
}

/// A browser asks at once; it may open connections that it does not use, and leave them open.
const PATIENCE: Duration = Duration::from_secs(60);

/// No browser asks for a page in more bytes than this.
const LONGEST: u64 = 64 * 1024;
