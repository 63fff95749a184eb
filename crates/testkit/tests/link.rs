//! What the link promises to the tests that stand on it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tubes_testkit::{Door, Ending, Fate, Flow, Heading, Link};
use xmpp_parsers::minidom::Element;

#[tokio::test]
async fn carries_both_directions_and_their_ends() {
    let (_link, mut client, mut server) = connected().await;
    client.write_all(b"there").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(heard_to_the_end(&mut server).await, "there");
    server.write_all(b"and back").await.unwrap();
    drop(server);
    assert_eq!(heard_to_the_end(&mut client).await, "and back");
}

#[tokio::test]
async fn cuts_with_a_reset_or_an_end() {
    let (link, mut client, mut server) = connected().await;
    link.cut(Ending::Reset);
    for side in [&mut client, &mut server] {
        let broken = patiently(side.read_u8()).await.unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::ConnectionReset);
    }
    let (link, mut client, mut server) = connected().await;
    link.cut(Ending::Fin);
    assert_eq!(heard_to_the_end(&mut client).await, "");
    assert_eq!(heard_to_the_end(&mut server).await, "");
}

#[tokio::test]
async fn refuses_at_the_door_and_lets_in_again_at_the_same_address() {
    let (link, mut client, mut server) = connected().await;
    link.set_door(Door::Refusing).await.unwrap();
    let refused = TcpStream::connect(link.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    // Who is inside stays.
    passes(&mut client, &mut server).await;
    link.set_door(Door::Open).await.unwrap();
    assert!(TcpStream::connect(link.address()).await.is_ok());
}

#[tokio::test]
async fn is_silent_to_new_ones_until_they_are_cut() {
    let (link, ..) = connected().await;
    link.set_door(Door::Silent).await.unwrap();
    let mut client = TcpStream::connect(link.address()).await.unwrap();
    client.write_all(b"hello?").await.unwrap();
    until(|| link.count() == 2).await;
    assert_nothing_comes(&mut client).await;
    link.cut(Ending::Reset);
    assert!(patiently(client.read_u8()).await.is_err());
}

#[tokio::test]
async fn stalls_one_direction_and_loses_nothing() {
    let (link, mut client, mut server) = connected().await;
    link.set_flow(Heading::ToServer, Flow::Stalled);
    client.write_all(b"late").await.unwrap();
    passes(&mut server, &mut client).await;
    assert_nothing_comes(&mut server).await;
    link.set_flow(Heading::ToServer, Flow::Free);
    assert_eq!(heard(&mut server, 4).await, "late");
}

#[tokio::test]
async fn a_stalled_connection_can_be_cut() {
    let (link, mut client, _server) = connected().await;
    link.set_flow(Heading::ToServer, Flow::Stalled);
    client.write_all(b"never").await.unwrap();
    link.cut(Ending::Reset);
    assert!(patiently(client.read_u8()).await.is_err());
}

#[tokio::test]
async fn delays_and_throttles() {
    let (link, mut client, mut server) = connected().await;
    let began = Instant::now();
    link.set_flow(Heading::ToServer, Flow::Delayed(LONG));
    passes(&mut client, &mut server).await;
    assert!(began.elapsed() >= LONG);
    link.set_flow(Heading::ToServer, Flow::Throttled(2000));
    let began = Instant::now();
    client.write_all(&[b'x'; 1000]).await.unwrap();
    heard(&mut server, 1000).await;
    // Ten slices, and so at least nine pauses.
    assert!(began.elapsed() >= Duration::from_millis(450));
}

#[tokio::test]
async fn shows_every_element_of_a_stream_with_its_direction() {
    let (link, mut client, mut server) = connected().await;
    link.set_filter(|heading, element| match (heading, element.name()) {
        (Heading::ToServer, "iq") => Fate::Drop,
        _ => Fate::Pass,
    });
    client.write_all(HEADER.as_bytes()).await.unwrap();
    client.write_all(b"<iq id='1'/><r/>").await.unwrap();
    assert_eq!(
        heard(&mut server, HEADER.len() + 4).await,
        HEADER.to_owned() + "<r/>"
    );
    server.write_all(HEADER.as_bytes()).await.unwrap();
    server.write_all(b"<iq id='1'/>").await.unwrap();
    let back = heard(&mut client, HEADER.len() + 12).await;
    assert_eq!(back, HEADER.to_owned() + "<iq id='1'/>");
}

#[tokio::test]
async fn reorders_duplicates_replaces_and_garbles() {
    let befalls = |element: &Element| match element.attr("id") {
        Some("twice") => Fate::Duplicate,
        Some("later") => Fate::HoldBack,
        Some("other") => Fate::Replace("<x xmlns='urn:x'/>".parse().unwrap()),
        Some("broken") => Fate::Garble,
        _ => Fate::Pass,
    };
    assert_eq!(
        befallen(befalls, "<iq id='twice'/>").await,
        "<iq id='twice'/>".repeat(2)
    );
    let turned = befallen(befalls, "<iq id='later'/><r/><iq id='2'/>").await;
    assert_eq!(turned, "<r/><iq id='2'/><iq id='later'/>");
    let replaced = befallen(befalls, "<iq id='other'><y/></iq>").await;
    let replaced: Element = replaced.parse().unwrap();
    assert_eq!(replaced.attr("id"), Some("other"));
    assert!(replaced.has_child("x", "urn:x") && replaced.children().count() == 1);
    let garbled = befallen(befalls, "<iq id='broken'/>").await;
    assert!(format!("{HEADER}{garbled}").parse::<Element>().is_err());
}

#[tokio::test]
async fn says_something_of_its_own_after_the_next_stanza_in_that_direction() {
    let (link, mut client, mut server) = connected().await;
    let own: Element = "<iq xmlns='jabber:client' id='own'/>".parse().unwrap();
    let mut written = Vec::new();
    own.write_to(&mut written).unwrap();
    link.interject(Heading::ToServer, [own]);
    let back = HEADER.to_owned() + "<iq id='1'/>";
    server.write_all(back.as_bytes()).await.unwrap();
    assert_eq!(heard(&mut client, back.len()).await, back);
    client.write_all(HEADER.as_bytes()).await.unwrap();
    let said = b"<r/><iq id='2'/><iq id='3'/>";
    client.write_all(said).await.unwrap();
    let own = String::from_utf8(written).unwrap();
    let expected = format!("{HEADER}<r/><iq id='2'/>{own}<iq id='3'/>");
    assert_eq!(heard(&mut server, expected.len()).await, expected);
}

#[tokio::test]
async fn delays_a_stanza_and_all_that_follows_it() {
    let befalls = |element: &Element| match element.attr("id") {
        Some("late") => Fate::Delay(LONG),
        _ => Fate::Pass,
    };
    let began = Instant::now();
    let came = befallen(befalls, "<iq id='late'/><iq id='2'/>").await;
    assert_eq!(came, "<iq id='late'/><iq id='2'/>");
    assert!(began.elapsed() >= LONG);
}

#[tokio::test]
async fn cuts_instead_of_a_stanza_or_right_after_it() {
    let (link, mut client, mut server) = connected().await;
    link.set_filter(|_, element| match element.attr("id") {
        Some("cut") => Fate::Cut,
        _ => Fate::Pass,
    });
    client.write_all(HEADER.as_bytes()).await.unwrap();
    client.write_all(b"<r/><iq id='cut'/><r/>").await.unwrap();
    assert_eq!(
        heard(&mut server, HEADER.len() + 4).await,
        HEADER.to_owned() + "<r/>"
    );
    assert!(patiently(server.read_u8()).await.is_err());
    assert!(patiently(client.read_u8()).await.is_err());

    let (link, mut client, mut server) = connected().await;
    link.set_filter(|_, _| Fate::CutAfter);
    client.write_all(HEADER.as_bytes()).await.unwrap();
    client.write_all(b"<iq/><iq/>").await.unwrap();
    assert_eq!(
        heard_to_the_end(&mut server).await,
        HEADER.to_owned() + "<iq/>"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_hangs_up() {
    // Bound, and so not given to others; nobody listens.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind(ANYWHERE).unwrap();
    let link = Link::to(nobody.local_addr().unwrap()).await.unwrap();
    let mut client = TcpStream::connect(link.address()).await.unwrap();
    assert!(patiently(client.read_u8()).await.is_err());
}

/// What the server gets of `said`, with this filter. Ends with the stream.
async fn befallen(
    befalls: impl Fn(&Element) -> Fate + Send + Sync + 'static,
    said: &str,
) -> String {
    let (link, mut client, mut server) = connected().await;
    link.set_filter(move |_, element| befalls(element));
    client.write_all(HEADER.as_bytes()).await.unwrap();
    client.write_all(said.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let heard = heard_to_the_end(&mut server).await;
    heard.strip_prefix(HEADER).unwrap().to_owned()
}

/// A link, and the two ends of a connection over it.
async fn connected() -> (Link, TcpStream, TcpStream) {
    let server = TcpListener::bind(ANYWHERE).await.unwrap();
    let link = Link::to(server.local_addr().unwrap()).await.unwrap();
    let connecting = TcpStream::connect(link.address());
    let (client, served) = tokio::join!(connecting, server.accept());
    (link, client.unwrap(), served.unwrap().0)
}

async fn passes(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"hello").await.unwrap();
    assert_eq!(heard(to, 5).await, "hello");
}

async fn heard(stream: &mut TcpStream, length: usize) -> String {
    let mut heard = vec![0; length];
    patiently(stream.read_exact(&mut heard)).await.unwrap();
    String::from_utf8(heard).unwrap()
}

async fn heard_to_the_end(stream: &mut TcpStream) -> String {
    let mut heard = String::new();
    patiently(stream.read_to_string(&mut heard)).await.unwrap();
    heard
}

/// Nothing is to be heard for a while, and the connection stands.
async fn assert_nothing_comes(stream: &mut TcpStream) {
    assert!(timeout(LONG, stream.read_u8()).await.is_err());
}

async fn until(happened: impl Fn() -> bool) {
    patiently(async {
        while !happened() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn patiently<T>(happening: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), happening).await.unwrap()
}

const ANYWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

const HEADER: &str = "<stream:stream xmlns='jabber:client'>";

/// Longer than anything takes here that is not made to wait.
const LONG: Duration = Duration::from_millis(200);
