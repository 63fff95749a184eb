//! Tubes inside an actix-web server: shows the tubes and their live connections, accepts what
//! one contact offers, and closes what the browser wants closed.
//!
//! `cargo run --example web -- fernand@example.net alice@example.org 127.0.0.1:8080`, with the
//! password in the environment variable `PASSWORD`. Then `curl 127.0.0.1:8080/tubes`.

use std::env;
use std::error::Error;
use std::net::SocketAddr;

use actix_web::{App, HttpResponse, HttpServer, Responder, delete, get, rt, web};
use serde::Serialize;
use tubes::state::{Connection, Phase, Stage, Tube};
use tubes::{Access, Account, Address, BareJid, Direction, Event, Events, TubeId, Tubes};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(jid), Some(contact), Some(listen)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: web ACCOUNT CONTACT ADDRESS".into());
    };
    let account = Account::new(jid.parse()?, env::var("PASSWORD")?)?;
    let contact = contact.parse()?;

    // All sockets belong to the runtime on which this is called, whatever the workers are.
    let (tubes, events) = Tubes::builder(account).start().await?;
    tubes.befriend(&contact).await;
    rt::spawn(accept_all(tubes.clone(), events, contact));

    let data = web::Data::new(tubes.clone());
    let server = HttpServer::new(move || App::new().app_data(data.clone()).configure(routes));
    // Returns when the process is interrupted.
    server.bind(listen)?.run().await?;
    tubes.leave().await;
    Ok(())
}

/// What the server answers.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.service(list).service(close);
}

/// The tubes there are, with their connections.
#[get("/tubes")]
async fn list(tubes: web::Data<Tubes>) -> impl Responder {
    let state = tubes.state();
    let entries = state
        .tubes
        .iter()
        .map(|(id, tube)| TubeEntry::of(*id, tube));
    web::Json(entries.collect::<Vec<_>>())
}

/// Closes a tube, by the `id` that the list has.
#[delete("/tubes/{id}")]
async fn close(tubes: web::Data<Tubes>, id: web::Path<String>) -> impl Responder {
    let state = tubes.state();
    let Some(tube) = state.tubes.keys().find(|tube| tube.to_string() == *id) else {
        return HttpResponse::NotFound();
    };
    tubes.close(*tube).await;
    HttpResponse::NoContent()
}

/// Accepts whatever the contact offers, each tube at a port of its own.
async fn accept_all(tubes: Tubes, mut events: Events, contact: BareJid) {
    while let Some(event) = events.next().await {
        if let Event::TubeOffered {
            tube,
            peer,
            direction: Direction::In,
            ..
        } = event
            && peer.to_bare() == contact
        {
            let listen = Address::from(SocketAddr::from(([127, 0, 0, 1], 0)));
            if let Err(error) = tubes.accept(tube, listen, Access::Localhost).await {
                eprintln!("cannot accept a tube of {peer}: {error}");
            }
        }
    }
}

#[derive(Serialize)]
struct TubeEntry {
    id: String,
    peer: String,
    service: String,
    direction: &'static str,
    phase: &'static str,
    address: Option<String>,
    connections: Vec<ConnectionEntry>,
}

impl TubeEntry {
    fn of(id: TubeId, tube: &Tube) -> Self {
        let connections = tube.connections.iter();
        Self {
            id: id.to_string(),
            peer: tube.peer.to_string(),
            service: tube.service.clone(),
            direction: match tube.direction {
                Direction::In => "in",
                Direction::Out => "out",
            },
            phase: match tube.phase {
                Phase::Open => "open",
                _ => "offered",
            },
            address: tube.address.as_ref().map(ToString::to_string),
            connections: connections
                .map(|(number, connection)| ConnectionEntry::of(*number, connection))
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct ConnectionEntry {
    number: u64,
    peer: String,
    /// None while both sides are agreeing on one.
    transport: Option<&'static str>,
    sent: u64,
    received: u64,
}

impl ConnectionEntry {
    fn of(number: u64, connection: &Connection) -> Self {
        Self {
            number,
            peer: connection.peer.to_string(),
            transport: match &connection.stage {
                Stage::Flowing { transport, .. } => Some(transport),
                _ => None,
            },
            sent: connection.traffic.sent(),
            received: connection.traffic.received(),
        }
    }
}
