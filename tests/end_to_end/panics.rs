//! A panic ends the one connection or tube it happened in, with an error, and nothing else.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::transport::{Ask, OpenError, Opened, Proposal, Reading, Request, Signalling, Transport};
use tubes::{Encryption, Event, Failure, FailureKind, Offer, TubeId, Tubes};
use tubes_protocol::ns;
use tubes_server::Server;
use xmpp_parsers::stanza_error::StanzaError;

use crate::stage::{
    Family, Fuse, Fused, Moment, Outsider, Person, Service, Shared, Stream, connect, credentials,
    echo, encryption, patiently, share, share_between, trip,
};

crate::in_clear_too!(
    a_transport_that_panics_at_the_program_ends_one_connection,
    a_transport_that_panics_at_the_service_ends_one_connection,
);

crate::on_each_server!(
    a_transport_that_panics_at_the_program_ends_one_connection,
    a_transport_that_panics_at_the_service_ends_one_connection,
);

mod once {
    use tubes_server::ServerKind;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_tube_that_panics_at_the_program_ends_alone() {
        crate::stage::on(
            ServerKind::Embedded,
            super::a_joined_tube_that_panics_ends_alone,
        )
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_tube_that_panics_at_the_service_ends_alone() {
        crate::stage::on(
            ServerKind::Embedded,
            super::an_offered_tube_that_panics_ends_alone,
        )
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_signalling_that_panics_refuses_one_question() {
        crate::stage::on(
            ServerKind::Embedded,
            super::a_signalling_that_panics_refuses_one_question,
        )
        .await;
    }
}

async fn a_transport_that_panics_at_the_program_ends_one_connection(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let fuse = Fuse::default();
    let (alice, fernand) = tokio::join!(Person::on(server, "alice"), fused(server, &fuse));
    befriend(&alice, &fernand).await;
    let mut shared = share_between(alice, fernand, &service.address, Family::Tcp).await;
    let mut bystander = shared.program().await;
    speak(&mut bystander).await;
    for moment in Moment::ALL {
        fuse.light(moment);
        shaken(shared.program().await, moment).await;
        let (.., error) = shared.fernand.connection_closed().await;
        is_internal(&error.unwrap());
        // The peer sees a break, unless the stream itself was done. If it was never opened, it
        // waits for a minute: Stream Initiation has no way to say that it will not be.
        if ![Moment::Connect, Moment::Prepare].contains(&moment) {
            let (.., error) = shared.alice.connection_closed().await;
            assert!(error.is_some() || is_done(moment), "{moment:?}");
        }
        speak(&mut bystander).await;
    }
    still_works(&shared).await;
    drop(bystander);
    no_tube_failed(shared).await;
}

async fn a_transport_that_panics_at_the_service_ends_one_connection(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let fuse = Fuse::default();
    let (alice, fernand) = tokio::join!(fused(server, &fuse), Person::on(server, "fernand"));
    befriend(&alice, &fernand).await;
    let mut shared = share_between(alice, fernand, &service.address, Family::Tcp).await;
    let mut bystander = shared.program().await;
    speak(&mut bystander).await;
    for moment in Moment::ALL {
        fuse.light(moment);
        shaken(shared.program().await, moment).await;
        let (.., error) = shared.alice.connection_closed().await;
        is_internal(&error.unwrap());
        let (.., error) = shared.fernand.connection_closed().await;
        assert!(error.is_some() || is_done(moment), "{moment:?}");
        speak(&mut bystander).await;
    }
    still_works(&shared).await;
    drop(bystander);
    no_tube_failed(shared).await;
}

/// Whether everything was said, on both sides, when the transport panics. Encrypted directions end
/// by themselves, before what is below is shut down.
fn is_done(moment: Moment) -> bool {
    moment == Moment::Drop || moment == Moment::Shutdown && encryption() == Encryption::Required
}

async fn a_joined_tube_that_panics_ends_alone(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let mut shared = share(server, &service.address).await;
    let other = another_tube(&mut shared, &service.address).await;
    let mut bystander = connect(&other.1).await.unwrap();
    let mut flowing = shared.program().await;
    speak(&mut flowing).await;

    trip(shared.joined);
    // The reset may come before the program knows that it is let in.
    if let Ok(mut touching) = connect(&shared.address).await {
        broken("touching", &mut touching).await;
    }
    // Before, it may still have come to its end in good order.
    let ended = ended(&mut shared.fernand, shared.joined, 2).await;
    is_internal(&ended);
    broken("flowing", &mut flowing).await;
    assert!(
        connect(&shared.address).await.is_err(),
        "nobody listens any more"
    );

    speak(&mut bystander).await;
    shared.address = other.1;
    still_works(&shared).await;
    // The account still takes offers.
    another_tube(&mut shared, &service.address).await;
    shared.leave().await;
}

async fn an_offered_tube_that_panics_ends_alone(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let mut shared = share(server, &service.address).await;
    let other = another_tube(&mut shared, &service.address).await;
    let mut bystander = connect(&other.1).await.unwrap();
    let mut flowing = shared.program().await;
    speak(&mut flowing).await;

    trip(shared.offered);
    // The reset may come before the program knows that it is let in.
    if let Ok(mut touching) = connect(&shared.address).await {
        broken("touching", &mut touching).await;
    }
    // Before, it may still have come to its end in good order.
    let end = ended(&mut shared.alice, shared.offered, 2).await;
    is_internal(&end);
    broken("flowing", &mut flowing).await;

    speak(&mut bystander).await;
    shared.address = other.1;
    still_works(&shared).await;
    // The account still offers.
    another_tube(&mut shared, &service.address).await;
    shared.leave().await;
}

/// What a signalling panics at on the control thread.
async fn a_signalling_that_panics_refuses_one_question(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let nervous = Nervous::default();
    let account = server.fresh_account("alice").await.unwrap();
    let builder = Tubes::builder(credentials(server, &account));
    // Only what it reads first reaches it.
    let builder = builder.signalling(Arc::new(nervous.clone()));
    let alice = Person::built(account.jid, builder).await.unwrap();
    let fernand = Person::on(server, "fernand").await;
    befriend(&alice, &fernand).await;
    let mut shared = share_between(alice, fernand, &service.address, Family::Tcp).await;
    let mut bystander = shared.program().await;
    speak(&mut bystander).await;

    let outsider = Outsider::on(server, "third").await;
    let alice = shared.alice.online().await;
    for question in ["read", "decline"] {
        let what = format!("<nervous xmlns='urn:example:{question}'/>");
        outsider.ask(&alice, &what).await.unwrap_err();
        assert!(nervous.has_panicked(), "{question}");
        speak(&mut bystander).await;
    }
    still_works(&shared).await;
    outsider.leave().await;
    drop(bystander);
    no_tube_failed(shared).await;
}

/// A signalling that panics whatever it is asked.
#[derive(Clone, Debug, Default)]
struct Nervous(Arc<AtomicBool>);

impl Nervous {
    fn has_panicked(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }

    fn panics(&self) -> ! {
        self.0.store(true, Ordering::Relaxed);
        panic!("a signalling lost its nerve");
    }
}

#[async_trait]
impl Signalling for Nervous {
    fn features(&self) -> Vec<String> {
        Vec::new()
    }

    fn read(&self, ask: Ask) -> Reading {
        if ask.payload().is("nervous", "urn:example:read") {
            self.panics();
        }
        if !ask.payload().is("nervous", "urn:example:decline") {
            return Reading::Foreign(ask);
        }
        // A proposal for no tube that there is: it will be declined.
        Reading::Proposal(Box::new(Proposal {
            stream: "nervous".into(),
            peer: ask.from().clone().try_into_full().unwrap(),
            kind: tubes::transport::Kind::Other,
            purpose: format!("<stream xmlns='{}' tube='1'/>", ns::TUBES)
                .parse()
                .unwrap(),
            extensions: Vec::new(),
            transports: Vec::new(),
            multiple: false,
            ask,
        }))
    }

    async fn open(&self, _: Request) -> Result<Opened, OpenError> {
        self.panics()
    }

    async fn accept(&self, _: Proposal, _: Request) -> Result<Opened, OpenError> {
        self.panics()
    }

    fn decline(&self, _: Proposal, _: StanzaError) {
        self.panics()
    }
}

async fn fused(server: &Server, fuse: &Fuse) -> Person {
    let account = server.fresh_account("fused").await.unwrap();
    let transport: Arc<dyn Transport> = Arc::new(Fused::with(fuse));
    let builder = Tubes::builder(credentials(server, &account))
        .ladder([transport])
        .encryption(encryption());
    Person::built(account.jid, builder).await.unwrap()
}

async fn befriend(alice: &Person, fernand: &Person) {
    alice.tubes.befriend(&fernand.jid).await;
    fernand.tubes.befriend(&alice.jid).await;
}

/// A further tube from Alice to Fernand: its names on both sides apart, and where it is.
async fn another_tube(shared: &mut Shared, service: &tubes::Address) -> (TubeId, tubes::Address) {
    let offer = Offer::new(shared.fernand.jid.clone(), "x-other", service.clone());
    shared.alice.tubes.offer(offer).await.unwrap();
    let tube = shared.fernand.offered().await;
    let listen = "127.0.0.1:0".parse().unwrap();
    let accepting = shared
        .fernand
        .tubes
        .accept(tube, listen, tubes::Access::Localhost);
    (tube, accepting.await.unwrap())
}

/// Says something and hears the echo.
async fn speak(program: &mut Stream) {
    program.write_all(b"hello").await.unwrap();
    let mut hello = [0; 5];
    let reading = program.read_exact(&mut hello);
    patiently("the echo comes", reading).await.unwrap();
    assert_eq!(&hello, b"hello");
}

/// A program whose connection is struck: it sees an error, unless all was done before.
async fn shaken(mut program: Stream, moment: Moment) {
    let end = to_the_end(&mut program).await;
    assert_eq!(end.is_ok(), is_done(moment), "{moment:?}: {end:?}");
}

/// A program sees its connection reset.
async fn broken(which: &str, program: &mut Stream) {
    let end = to_the_end(program).await;
    assert!(end.is_err(), "{which}: {end:?}");
}

/// Says something, and hears whatever there is to hear. Which of these fails is a matter of time,
/// and only one does: the kernel reports a reset once.
async fn to_the_end(program: &mut Stream) -> io::Result<()> {
    let speaking = async {
        program.write_all(b"hello").await?;
        program.shutdown().await?;
        program.read_to_end(&mut Vec::new()).await
    };
    patiently("the program sees the end", speaking).await?;
    Ok(())
}

/// A tube ends, once, after so many connections of its that ended with an error; why.
async fn ended(person: &mut Person, tube: TubeId, connections: usize) -> Failure {
    for _ in 0..connections {
        let (.., error) = person.connection_closed().await;
        error.unwrap();
    }
    person
        .event(|event| match event {
            Event::TubeClosed {
                tube: which, error, ..
            } if *which == tube => Some(error.clone()),
            _ => None,
        })
        .await
        .unwrap()
}

fn is_internal(failure: &Failure) {
    assert_eq!(failure.kind, FailureKind::Io, "{failure}");
    assert!(failure.message.contains("internal error"), "{failure}");
}

async fn still_works(shared: &Shared) {
    let mut program = shared.program().await;
    speak(&mut program).await;
    program.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let reading = program.read_to_end(&mut rest);
    patiently("the connection ends", reading).await.unwrap();
}

/// Both leave; until then no tube has ended.
async fn no_tube_failed(shared: Shared) {
    assert_eq!(shared.alice.tubes.state().tubes.len(), 1);
    assert_eq!(shared.fernand.tubes.state().tubes.len(), 1);
    let (of_alice, of_fernand) = shared.leave().await;
    for rest in [of_alice, of_fernand] {
        let ends = |event: &&Event| matches!(event, Event::TubeClosed { .. });
        assert_eq!(rest.iter().filter(ends).count(), 1, "{rest:#?}");
    }
}
