//! Somebody on the way changes what is said: both sides notice, and no program takes a part for
//! the whole.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tubes::{Account, BareJid, FailureKind, Tls};
use tubes_protocol::ns;
use tubes_server::{Server, Setup};
use tubes_testkit::{Fate, Heading, Link};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::{Namespace, xml_ncname};

use crate::stage::{
    Content, Family, Meddling, Person, Service, Shared, Stream, Tap, befriended, digest, echo,
    exchange, patiently, share_between, transport, until_served,
};

crate::on_each_server_and_transport!(
    a_question_for_another_stream_connects_to_nothing,
    a_stream_that_is_cut_short_is_an_error,
    a_stream_that_is_garbled_is_an_error,
    an_offer_that_was_changed_connects_to_nothing,
    what_is_negotiated_cannot_be_changed,
);

async fn a_stream_that_is_cut_short_is_an_error(server: &Server) {
    meddled(server, Meddling::CutShort).await;
}

async fn a_stream_that_is_garbled_is_an_error(server: &Server) {
    meddled(server, Meddling::Garble).await;
}

/// Something is done to what one side reads, and then to what the other reads.
async fn meddled(server: &Server, meddling: Meddling) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let taps = [Tap::default(), Tap::default()];
    let tapped = |tap: &Tap| vec![tap.on(transport())];
    let (alice, fernand) = tokio::join!(
        Person::with_ladder(server, "alice", tapped(&taps[0])),
        Person::with_ladder(server, "fernand", tapped(&taps[1])),
    );
    let (alice, fernand) = befriended(alice, fernand).await;
    let mut shared = share_between(alice, fernand, &service.address(), Family::Tcp).await;
    for (at_alices, tap) in [(true, &taps[0]), (false, &taps[1])] {
        let program = shared.program().await;
        let (near, far) = match at_alices {
            true => (service.accept().await, program),
            false => (program, service.accept().await),
        };
        cut_off(near, far, || tap.meddle(meddling)).await;
        let (.., of_alice) = shared.alice.connection_closed().await;
        let (.., of_fernand) = shared.fernand.connection_closed().await;
        let (near, far) = match at_alices {
            true => (of_alice, of_fernand),
            false => (of_fernand, of_alice),
        };
        assert_eq!(near.unwrap().kind, FailureKind::Untrusted);
        assert!(far.is_some());
        tap.meddle(Meddling::Nothing);
    }
    let serving = service.serve(echo);
    patiently("another connection works", until_served(&serving.address)).await;
    shared.leave().await;
}

/// All is well until something is done to what comes near. Then neither takes it for a proper end.
async fn cut_off(mut near: Stream, mut far: Stream, meddle: impl FnOnce()) {
    carries(&mut near, &mut far).await;
    carries(&mut far, &mut near).await;
    meddle();
    far.write_all(b"more").await.unwrap();
    for end in [&mut near, &mut far] {
        let mut rest = Vec::new();
        let hearing = end.read_to_end(&mut rest);
        let heard = patiently("the end is told", hearing).await;
        assert!(heard.is_err(), "{rest:?}");
        assert!(rest.is_empty());
    }
}

async fn carries(from: &mut Stream, to: &mut Stream) {
    let said = Content::of(1, SIZE);
    let mut heard = vec![0; SIZE];
    let (saying, hearing) = tokio::join!(from.write_all(&said), to.read_exact(&mut heard));
    saying.unwrap();
    hearing.unwrap();
    assert_eq!(digest(&heard), digest(&said));
}

async fn what_is_negotiated_cannot_be_changed(shared: &Server) {
    let setup = Setup::new().with_proxy().without_required_encryption();
    let starting = Server::start(shared.kind(), setup);
    let server = starting.await.unwrap();
    for change in Change::ALL {
        changed(&server, change).await;
    }
    server.stop().await;
}

/// Somebody in between passes the tube of one service off as that of another.
async fn an_offer_that_was_changed_connects_to_nothing(shared: &Server) {
    let setup = Setup::new().with_proxy().without_required_encryption();
    let starting = Server::start(shared.kind(), setup);
    let server = starting.await.unwrap();
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
}

impl Change {
    const ALL: [Self; 6] = [
        Self::AnswerGetsMore,
        Self::AnswerLosesItsKey,
        Self::KeyOfTheAnswer,
        Self::KeyOfTheQuestion,
        Self::QuestionGetsMore,
        Self::QuestionLosesItsKey,
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
    let happened = AtomicBool::new(false);
    link.set_filter(move |heading, stanza| {
        let si = stanza.get_child("si", ns::SI);
        match si.filter(|_| heading == change.heading()) {
            Some(si) if !happened.swap(true, Ordering::Relaxed) => Fate::Replace(change.of(si)),
            _ => Fate::Pass,
        }
    });
    is_refused(&mut shared, &format!("{change:?}")).await;
    link.set_filter(|_, _| Fate::Pass);
    patiently("a connection works", until_served(&shared.address)).await;
    shared.leave().await;
}

/// The program sees an error, and both sides say so.
async fn is_refused(shared: &mut Shared, what: &str) {
    let trying = timeout(SOON, exchange(&shared.address)).await;
    let failed = trying.unwrap_or_else(|_| panic!("{what}: nobody noticed"));
    failed.unwrap_err();
    for person in [&mut shared.fernand, &mut shared.alice] {
        let (.., error) = person.connection_closed().await;
        assert!(error.is_some(), "{what}");
    }
}

/// Somebody in between lets Alice hear of another bytestream than the one that Fernand asks for: of
/// a new one, and of one that was there before.
async fn a_question_for_another_stream_connects_to_nothing(shared: &Server) {
    let setup = Setup::new().with_proxy().without_required_encryption();
    let starting = Server::start(shared.kind(), setup);
    let server = starting.await.unwrap();
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let in_clear = |account: Account| account.with_tls(Tls::None).unwrap();
    let alice = Person::on(&server, "alice").await;
    let (fernand, link) = Person::linked(&server, "fernand", in_clear).await;
    let (alice, fernand) = befriended(alice, fernand).await;
    let mut shared = share_between(alice, fernand, &service.address, Family::Tcp).await;
    let earlier = Arc::new(OnceLock::new());
    let heard = Arc::clone(&earlier);
    link.set_filter(move |_, stanza| {
        let asked = stanza.get_child("si", ns::SI).and_then(|si| si.attr("id"));
        // The first one stays.
        asked.map(|id| heard.set(id.to_owned()));
        Fate::Pass
    });
    patiently("a connection works", exchange(&shared.address))
        .await
        .unwrap();
    for person in [&mut shared.fernand, &mut shared.alice] {
        assert!(person.connection_closed().await.2.is_none());
    }
    let aliases = ["another", earlier.get().unwrap()];
    rename(&link, &shared.alice.jid, aliases);
    for alias in aliases {
        let trying = timeout(SOON, exchange(&shared.address)).await;
        let failed = trying.unwrap_or_else(|_| panic!("{alias}: nobody noticed"));
        failed.unwrap_err();
        assert!(shared.fernand.connection_closed().await.2.is_some());
    }
    // Whom nobody connects to waits for a while.
    for _ in aliases {
        assert!(shared.alice.connection_closed().await.2.is_some());
    }
    link.set_filter(|_, _| Fate::Pass);
    patiently("a connection works", until_served(&shared.address)).await;
    shared.leave().await;
    server.stop().await;
}

/// From here on the next bytestreams have these names beyond Fernand's link, in all that is said of
/// them to Alice and by her. A proxy is not deceived.
fn rename(link: &Link, alices: &BareJid, aliases: [&str; 2]) {
    let alices = alices.clone();
    let mut aliases = aliases.map(ToOwned::to_owned).into_iter();
    let names = Mutex::new((Vec::new(), move || aliases.next()));
    link.set_filter(move |heading, stanza| {
        let other = match heading {
            Heading::ToServer => stanza.attr("to"),
            Heading::ToClient => stanza.attr("from"),
        };
        let Some(mut payload) = stanza.children().next().cloned() else {
            return Fate::Pass;
        };
        let is_question = payload.is("si", ns::SI);
        let attribute = match is_question {
            true => xml_ncname!("id").to_owned(),
            false => xml_ncname!("sid").to_owned(),
        };
        let named = payload.attr(attribute.as_str()).map(ToOwned::to_owned);
        let (Some(other), Some(named)) = (other, named) else {
            return Fate::Pass;
        };
        if !other.starts_with(alices.as_str()) {
            return Fate::Pass;
        }
        let mut names = names.lock().unwrap();
        let (known, next) = &mut *names;
        if is_question && let Some(alias) = next() {
            known.push((named.clone(), alias));
        }
        let renamed = known.iter().find_map(|(real, alias)| match heading {
            Heading::ToServer => (*real == named).then_some(alias),
            Heading::ToClient => (*alias == named).then_some(real),
        });
        let Some(renamed) = renamed else {
            return Fate::Pass;
        };
        payload.set_attr(Namespace::NONE, attribute, renamed.as_str());
        Fate::Replace(payload)
    });
}

const SIZE: usize = 64 * 1024;

const SOON: Duration = Duration::from_secs(28);
