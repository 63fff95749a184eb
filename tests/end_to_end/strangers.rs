//! Somebody whom nobody befriended, and who knows too much.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::{BareJid, Direction, Event, FullJid, Offer};
use tubes_protocol::ns;
use tubes_protocol::si::SiRequest;
use tubes_protocol::tube::{Parameters, Setting, StreamFor, TubeClose, TubeNumber, TubeOffer};
use tubes_server::Server;
use tubes_transport::{AskError, Bytestream};
use xmpp_parsers::minidom::Element;

use crate::stage::{Content, Family, Outsider, Person, Service, digest, echo, patiently};

crate::on_each_server!(
    a_stranger_who_knows_everything_gets_nothing_and_disturbs_nothing,
    a_friend_to_whom_nothing_was_offered_gets_no_more,
    an_offer_of_a_stranger_is_not_reported,
);

async fn a_stranger_who_knows_everything_gets_nothing_and_disturbs_nothing(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    // Fernand speaks by hand, so that the identifier of his stream is known.
    let mut fernand = Outsider::on(server, "fernand").await;
    let stranger = Outsider::on(server, "fernand").await;
    let mut alice = Person::lenient(server, "alice").await;
    let victim = alice.online().await;
    alice.tubes.befriend(&fernand.jid).await;
    fernand.befriend(&alice.jid).await;
    let offer = Offer::new(fernand.jid.clone(), "x-test", service.address.clone());
    let tube = alice.tubes.offer(offer).await.unwrap();
    let number = fernand.offered().await;

    let mut stream = fernand.open(&victim, number, SID).await.unwrap();
    transfer(&mut stream, 1).await;
    tokio::join!(transfer(&mut stream, 2), harass(&stranger, &victim, number),);
    transfer(&mut stream, 3).await;
    stream.shutdown().await.unwrap();
    let size = u64::try_from(3 * SIZE).unwrap();
    assert_eq!(alice.connection_closed().await, (size, size, None));
    let mut second = fernand.open(&victim, number, "second").await.unwrap();
    transfer(&mut second, 4).await;

    alice.tubes.close(tube).await;
    let known = fernand.jid.clone();
    stranger.leave().await;
    fernand.leave().await;
    for event in alice.leave().await {
        let about = peer_of(&event);
        assert!(about.is_none_or(|peer| peer == known), "{event:?}");
    }
}

async fn a_friend_to_whom_nothing_was_offered_gets_no_more(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let mut fernand = Outsider::on(server, "fernand").await;
    let mut other = Outsider::on(server, "fernand").await;
    let mut alice = Person::lenient(server, "alice").await;
    let victim = alice.online().await;
    for friend in [&fernand, &other] {
        alice.tubes.befriend(&friend.jid).await;
        friend.befriend(&alice.jid).await;
    }
    let [offer, another] = [&fernand, &other]
        .map(|friend| Offer::new(friend.jid.clone(), "x-test", service.address.clone()));
    alice.tubes.offer(offer).await.unwrap();
    alice.tubes.offer(another).await.unwrap();
    let number = fernand.offered().await;
    // A tube of one's own opens no other.
    other.offered().await;
    harass(&other, &victim, number).await;
    let mut stream = fernand.open(&victim, number, SID).await.unwrap();
    transfer(&mut stream, 1).await;
    other.leave().await;
    fernand.leave().await;
    alice.leave().await;
}

async fn an_offer_of_a_stranger_is_not_reported(server: &Server) {
    let stranger = Outsider::on(server, "fernand").await;
    let mut alice = Person::lenient(server, "alice").await;
    let victim = alice.online().await;
    let number = TubeNumber::from_random(14);
    let offer = TubeOffer::new(number, "x-test", Parameters::default()).unwrap();
    stranger.tell(&victim, offer.payloads()).await;
    // The answer to what was said later tells that the offer was heard.
    let asked = stranger.ask(&victim, &initiation("later", number)).await;
    assert!(is_refused(&asked), "{asked:?}");
    stranger.leave().await;
    let events = alice.leave().await;
    let offered = |event: &Event| {
        matches!(
            event,
            Event::TubeOffered {
                direction: Direction::In,
                ..
            }
        )
    };
    assert!(!events.iter().any(offered), "{events:#?}");
}

/// Sends through the stream to the echo and back.
async fn transfer(stream: &mut Bytestream, seed: u64) {
    let said = Content::of(seed, SIZE);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut heard = vec![0; SIZE];
    let transfer = async { tokio::join!(writer.write_all(&said), reader.read_exact(&mut heard)) };
    let (written, read) = patiently("the echo is back", transfer).await;
    written.unwrap();
    read.unwrap();
    assert_eq!(digest(&heard), digest(&said));
}

/// Says whatever Fernand may say.
async fn harass(stranger: &Outsider, victim: &FullJid, number: TubeNumber) {
    let data = format!("<data xmlns='{IBB}' sid='{SID}' seq='0'>AAAA</data>");
    stranger.tell(victim, vec![data.parse().unwrap()]).await;
    let close = TubeClose { number };
    stranger.tell(victim, close.payloads()).await;
    for question in [
        initiation("another", number),
        initiation(SID, number),
        format!("<open xmlns='{IBB}' sid='{SID}' block-size='4096' stanza='iq'/>"),
        data,
        format!("<close xmlns='{IBB}' sid='{SID}'/>"),
        format!("<query xmlns='{SOCKS5}' sid='{SID}' mode='tcp'/>"),
    ] {
        let answer = stranger.ask(victim, &question).await;
        assert!(is_refused(&answer), "{question}: {answer:?}");
    }
}

fn initiation(stream: &str, number: TubeNumber) -> String {
    let methods = vec![IBB.to_owned()];
    let request = SiRequest::new(
        stream,
        StreamFor {
            number,
            setting: Setting::Private,
        }
        .into(),
        methods,
    );
    String::from(&Element::from(request))
}

fn is_refused(answer: &Result<(), AskError>) -> bool {
    matches!(answer, Err(AskError::Refused(_)))
}

/// Who else an event is about.
fn peer_of(event: &Event) -> Option<BareJid> {
    match event {
        Event::ConnectionOpened { peer, .. }
        | Event::PeerOffline { peer }
        | Event::PeerOnline { peer }
        | Event::TubeOffered { peer, .. } => Some(peer.to_bare()),
        _ => None,
    }
}

const IBB: &str = ns::IBB;
const SOCKS5: &str = ns::BYTESTREAMS;

/// The identifier of Fernand's stream.
const SID: &str = "known-to-everybody";

/// Bytes in a transfer.
const SIZE: usize = 256 * 1024;
