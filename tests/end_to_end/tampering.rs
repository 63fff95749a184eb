//! Somebody on the way changes what is said: both sides notice, and no program takes a part for
//! the whole.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tubes::{Account, FailureKind, Tls};
use tubes_protocol::ns;
use tubes_server::{Server, Setup};
use tubes_testkit::{Fate, Heading, Link};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::{Namespace, xml_ncname};

use crate::stage::{
    Content, Family, Meddling, Person, Service, Shared, Tap, befriended, echo, exchange, patiently,
    share_between, transport, until_served,
};

crate::on_each_server_and_transport!(
    a_stream_that_is_cut_short_is_an_error,
    a_stream_that_is_garbled_is_an_error,
);

mod negotiated {
    use super::{
        an_offer_that_was_changed_connects_to_nothing, what_is_negotiated_cannot_be_changed,
    };

    crate::on_each_server!(
        an_offer_that_was_changed_connects_to_nothing,
        what_is_negotiated_cannot_be_changed,
    );
}

async fn a_stream_that_is_cut_short_is_an_error(server: &Server) {
    meddled(server, Meddling::CutShort).await;
}

async fn a_stream_that_is_garbled_is_an_error(server: &Server) {
    meddled(server, Meddling::Garble).await;
}

async fn meddled(server: &Server, meddling: Meddling) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let tap = Tap::default();
    let (alice, fernand) = tokio::join!(
        Person::with_ladder(server, "alice", vec![Tap::default().on(transport())]),
        Person::with_ladder(server, "fernand", vec![tap.on(transport())]),
    );
    let (alice, fernand) = befriended(alice, fernand).await;
    let mut shared = share_between(alice, fernand, &service.address, Family::Tcp).await;
    let mut program = shared.program().await;
    let said = Content::of(1, SIZE);
    program.write_all(&said).await.unwrap();
    let mut heard = vec![0; SIZE];
    let hearing = program.read_exact(&mut heard);
    patiently("the echo is back", hearing).await.unwrap();

    tap.meddle(meddling);
    program.write_all(b"more").await.unwrap();
    let mut rest = Vec::new();
    let hearing = program.read_to_end(&mut rest);
    let heard = patiently("the program is told", hearing).await;
    assert!(heard.is_err(), "{rest:?}");
    assert!(rest.is_empty());
    let (.., error) = shared.fernand.connection_closed().await;
    assert_eq!(error.unwrap().kind, FailureKind::Untrusted);
    let (.., error) = shared.alice.connection_closed().await;
    assert!(error.is_some());
    tap.meddle(Meddling::Nothing);
    patiently("another connection works", until_served(&shared.address)).await;
    shared.leave().await;
}

async fn what_is_negotiated_cannot_be_changed(shared: &Server) {
    let setup = Setup::new().without_required_encryption();
    let starting = Server::start(shared.kind(), setup);
    let server = patiently("a server starts", starting).await.unwrap();
    for change in Change::ALL {
        changed(&server, change).await;
    }
    server.stop().await;
}

/// Somebody in between passes the tube of one service off as that of another.
async fn an_offer_that_was_changed_connects_to_nothing(shared: &Server) {
    let setup = Setup::new().without_required_encryption();
    let starting = Server::start(shared.kind(), setup);
    let server = patiently("a server starts", starting).await.unwrap();
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let in_clear = |account: Account| account.with_tls(Tls::None).unwrap();
    let alice = Person::on(&server, "alice").await;
    let (fernand, link) = Person::linked(&server, "fernand", in_clear).await;
    link.set_filter(|_, stanza| match stanza.get_child("tube", ns::TUBES) {
        Some(tube) if stanza.name() == "message" => {
            let mut tube = tube.clone();
            let name = xml_ncname!("service").to_owned();
            tube.set_attr(Namespace::NONE, name, "x-other");
            Fate::Replace(tube)
        }
        _ => Fate::Pass,
    });
    let (alice, fernand) = befriended(alice, fernand).await;
    let mut shared = share_between(alice, fernand, &service.address, Family::Tcp).await;
    let trying = patiently("the program is told", exchange(&shared.address));
    trying.await.unwrap_err();
    for person in [&mut shared.alice, &mut shared.fernand] {
        let (.., error) = person.connection_closed().await;
        assert!(error.is_some());
    }
    shared.leave().await;
    server.stop().await;
}

/// What somebody in between does to a Stream Initiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    AnswerGetsMore,
    AnswerLosesItsKey,
    KeyOfTheAnswer,
    KeyOfTheQuestion,
    QuestionGetsMore,
    QuestionLosesItsKey,
    QuestionIsForAnotherStream,
}

impl Change {
    const ALL: [Self; 7] = [
        Self::AnswerGetsMore,
        Self::AnswerLosesItsKey,
        Self::KeyOfTheAnswer,
        Self::KeyOfTheQuestion,
        Self::QuestionGetsMore,
        Self::QuestionLosesItsKey,
        Self::QuestionIsForAnotherStream,
    ];

    /// As it is said by Fernand, who asks, or to him.
    fn heading(self) -> Heading {
        match self {
            Self::AnswerGetsMore | Self::AnswerLosesItsKey | Self::KeyOfTheAnswer => {
                Heading::ToClient
            }
            _ => Heading::ToServer,
        }
    }

    fn of(self, si: &Element) -> Element {
        let mut si = si.clone();
        let kind = si.get_child_mut("kind", ns::KIND).unwrap();
        match self {
            Self::AnswerGetsMore | Self::QuestionGetsMore => {
                kind.append_child(Element::bare("more", ns::KIND));
            }
            Self::AnswerLosesItsKey | Self::QuestionLosesItsKey => {
                kind.remove_child("secure", ns::KIND).unwrap();
            }
            Self::KeyOfTheAnswer | Self::KeyOfTheQuestion => {
                let secure = kind.get_child_mut("secure", ns::KIND).unwrap();
                let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
                secure.set_attr(Namespace::NONE, xml_ncname!("key").to_owned(), key);
            }
            Self::QuestionIsForAnotherStream => {
                si.set_attr(Namespace::NONE, xml_ncname!("id").to_owned(), "another");
            }
        }
        si
    }
}

async fn changed(server: &Server, change: Change) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let in_clear = |account: Account| account.with_tls(Tls::None).unwrap();
    let alice = Person::on(server, "alice").await;
    let (fernand, link) = Person::linked(server, "fernand", in_clear).await;
    let (alice, fernand) = befriended(alice, fernand).await;
    let mut shared = share_between(alice, fernand, &service.address, Family::Tcp).await;
    // The first meeting: nobody's key is known yet.
    refused(&mut shared, &link, change).await;
    link.set_filter(|_, _| Fate::Pass);
    patiently("a connection works", until_served(&shared.address)).await;
    shared.leave().await;
}

async fn refused(shared: &mut Shared, link: &Link, change: Change) {
    let happened = AtomicBool::new(false);
    link.set_filter(move |heading, stanza| {
        let si = stanza.get_child("si", ns::SI);
        match si.filter(|_| heading == change.heading()) {
            Some(si) if !happened.swap(true, Ordering::Relaxed) => Fate::Replace(change.of(si)),
            _ => Fate::Pass,
        }
    });
    let trying = timeout(SOON, exchange(&shared.address)).await;
    let failed = trying.unwrap_or_else(|_| panic!("{change:?}: nobody noticed"));
    failed.unwrap_err();
    let (.., error) = shared.fernand.connection_closed().await;
    assert!(error.is_some(), "{change:?}");
    // Alice waits for a minute for a stream that nobody else knows.
    if change != Change::QuestionIsForAnotherStream {
        let (.., error) = shared.alice.connection_closed().await;
        assert!(error.is_some(), "{change:?}");
    }
}

const SIZE: usize = 64 * 1024;

const SOON: Duration = Duration::from_secs(20);
