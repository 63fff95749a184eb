//! The chat of the examples.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tubes::Parameters;
use tubes_server::Server;

use super::{accepted, added, monitoring_server, offer};
use crate::stage::{Person, Stream, connect, pair, patiently};

// The example as it is, so that it cannot promise what does not work.
#[allow(dead_code, reason = "a test has a `main` of its own")]
#[path = "../../../examples/chat.rs"]
mod example;

crate::on_each_server!(each_is_greeted_by_name_and_hears_what_others_say);

async fn each_is_greeted_by_name_and_hears_what_others_say(server: &Server) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (alice, mut fernand) = pair(server).await;
    let mut carol = Person::on(server, "carol").await;
    alice.tubes.befriend(&carol.jid).await;
    carol.tubes.befriend(&alice.jid).await;
    let tubes = monitoring_server();
    tubes.export(&listener, Parameters::default()).unwrap();
    added(&tubes, &alice).await;
    let serving = tubes.clone();
    let chat = tokio::spawn(async move { example::serve(&serving, listener).await });

    // Somebody who comes through no tube is not greeted, and is in nobody's way.
    let _nobody = connect(&address.into()).await.unwrap();
    let mut players = Vec::new();
    for person in [&mut fernand, &mut carol] {
        offer(&tubes, &alice, person).await;
        let player = connect(&accepted(person).await).await.unwrap();
        let mut player = BufReader::new(player);
        assert_eq!(
            line(&mut player).await,
            format!("Welcome, {}!\n", person.jid)
        );
        players.push(player);
    }
    players[0].get_mut().write_all(b"hello\n").await.unwrap();
    for player in &mut players {
        assert_eq!(line(player).await, format!("{}: hello\n", fernand.jid));
    }
    chat.abort();
    carol.leave().await;
    fernand.leave().await;
    alice.leave().await;
}

async fn line(player: &mut BufReader<Stream>) -> String {
    let mut line = String::new();
    let reading = player.read_line(&mut line);
    patiently("something is said", reading).await.unwrap();
    line
}
