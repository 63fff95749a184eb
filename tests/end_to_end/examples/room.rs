//! The web page for a room.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tubes::{Address, Audience, Parameters, StreamTubeServer};
use tubes_server::Server;

use crate::api::{accepted, added};
use crate::stage::{Person, connect, enter, fresh_room, patiently};

// The example as it is, so that it cannot promise what does not work.
#[allow(dead_code, reason = "a test has a `main` of its own")]
#[path = "../../../examples/room.rs"]
mod example;

crate::on_each_server!(
    each_visitor_of_the_page_is_greeted_by_the_name_it_has_in_the_room,
    who_comes_into_the_room_and_leaves_it_is_told,
);

async fn each_visitor_of_the_page_is_greeted_by_the_name_it_has_in_the_room(server: &Server) {
    let room = fresh_room(server);
    let alice = Person::on(server, "alice").await;
    enter(&alice, &room, "hostess").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tubes = StreamTubeServer::builder()
        .services_for_rooms(["http"])
        .with_monitoring()
        .build();
    tubes.export(&listener, Parameters::default()).unwrap();
    added(&tubes, &alice).await;
    let offering = tubes.offer(&alice.jid, Audience::Room(room.clone()), "http");
    patiently("the page is offered", offering).await.unwrap();
    let serving = tubes.clone();
    let page = tokio::spawn(async move { example::serve(&serving, listener).await });

    let mut visitors = Vec::new();
    for (account, name) in [("fernand", "guest"), ("carol", "<b>carol</b>")] {
        let mut visitor = Person::on(server, account).await;
        enter(&visitor, &room, name).await;
        let address = accepted(&mut visitor).await;
        // As often as it likes: each time it is another connection.
        for _ in 0..2 {
            let (head, body) = got(&address).await;
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert!(head.contains("\r\nContent-Type: text/plain;"), "{head}");
            assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
            assert!(body.starts_with(&format!("Hello, {name}!\n")), "{body}");
        }
        visitors.push(visitor);
    }
    page.abort();
    for person in visitors {
        person.leave().await;
    }
    alice.leave().await;
}

async fn who_comes_into_the_room_and_leaves_it_is_told(server: &Server) {
    let room = fresh_room(server);
    let mut alice = Person::on(server, "alice").await;
    enter(&alice, &room, "hostess").await;
    let fernand = Person::on(server, "fernand").await;
    enter(&fernand, &room, "guest").await;
    assert_eq!(alice.event(example::news).await, "guest is here");
    patiently("he leaves", fernand.tubes.leave_room(&room)).await;
    assert_eq!(alice.event(example::news).await, "guest went");
    fernand.leave().await;
    alice.leave().await;
}

/// The head and the body of the page at this address.
async fn got(address: &Address) -> (String, String) {
    let getting = async {
        let mut browser = connect(address).await?;
        browser
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await?;
        let mut answer = String::new();
        browser.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = patiently("the page is shown", getting).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (format!("{head}\r\n"), body.to_owned())
}
