//! Links that break, stall and come back, in the middle of a transfer.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tubes::{Account, Address, Event, FailureKind, TransportName};
use tubes_server::{Server, ServerKind, Setup};
use tubes_testkit::{Door, Ending, Flow, Heading, Link};

use crate::stage::{
    Content, Family, Person, Service, Serving, Stream, befriended, connect, credentials, digest,
    echo, over, patiently, share_between, until_served,
};

crate::on_each_server!(
    a_cut_link_is_a_pause_where_the_server_keeps_sessions,
    a_server_that_dies_and_returns_ends_connections_and_keeps_the_tube,
    a_server_that_dies_leaves_direct_connections_alone,
    a_server_that_never_returns_ends_connections,
    a_session_that_is_resumed_too_late_is_a_new_one,
);

async fn a_cut_link_is_a_pause_where_the_server_keeps_sessions(shared: &Server) {
    // As it comes, Prosody forgets half of what it had read: the next test.
    let server = own_of(shared.kind(), Setup::new().with_large_reads()).await;
    let mut scene = Scene::set(&server, LONG).await;
    let mut transfer = scene.transfer(SIZE).await;
    if server.kind() == ServerKind::Embedded {
        // It keeps nothing, so the connection is lost, and both sides know.
        transfer.read(SIZE / 4).await;
        scene.of_alice.cut(Ending::Reset);
        transfer.breaks().await;
        scene.leave_broken().await;
    } else {
        scene.cut_thrice(&mut transfer).await.unwrap();
        transfer.ends_whole().await;
        scene.leave().await;
    }
    server.stop().await;
}

/// A session whose connection Prosody 0.12.3 loses in the middle of a stanza is resumed, and deaf:
/// more often than not it is a pause nevertheless, and never is there a part taken for the whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_of_prosody_as_it_comes_is_a_pause_or_an_error() {
    crate::stage::on(ServerKind::Prosody, |server| async move {
        let mut scene = Scene::set(server, LONG).await;
        let mut transfer = scene.transfer(SIZE).await;
        match scene.cut_thrice(&mut transfer).await {
            Ok(()) => {
                transfer.ends_whole().await;
                scene.leave().await;
            }
            Err(why) => {
                eprintln!("Prosody did not go on: {why}");
                if why.kind() == ErrorKind::UnexpectedEof {
                    transfer.breaks().await;
                }
                for person in [&mut scene.alice, &mut scene.fernand] {
                    let (.., error) = person.connection_closed().await;
                    let told = error.unwrap().kind;
                    assert!(matches!(told, FailureKind::Gone | FailureKind::Closed));
                }
                patiently("the tube works again", until_served(&scene.address)).await;
                scene.leave().await;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_stalls_is_a_pause() {
    let on = |kind| crate::stage::on(kind, stall);
    // It takes its time, so at all of them at once.
    let [embedded, prosody, ejabberd] = [
        ServerKind::Embedded,
        ServerKind::Prosody,
        ServerKind::Ejabberd,
    ];
    tokio::join!(on(embedded), on(prosody), on(ejabberd));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_falls_silent_for_good_ends_connections() {
    let on = |kind| crate::stage::on(kind, fall_silent);
    let [prosody, ejabberd] = [ServerKind::Prosody, ServerKind::Ejabberd];
    tokio::join!(on(ServerKind::Embedded), on(prosody), on(ejabberd));
}

async fn fall_silent(server: &Server) {
    let mut scene = Scene::set(server, SHORT).await;
    let mut transfer = scene.transfer(SIZE).await;
    transfer.read(SIZE / 32).await;
    scene.of_fernand.set_door(Door::Silent).await.unwrap();
    for heading in [Heading::ToClient, Heading::ToServer] {
        scene.of_fernand.set_flow(heading, Flow::Stalled);
    }
    transfer.breaks().await;
    let (.., error) = scene.fernand.connection_closed().await;
    assert_eq!(error.unwrap().kind, FailureKind::Gone);
    // As nobody hears him, nobody waits for Fernand to take leave.
    drop(scene);
}

async fn stall(server: &Server) {
    let mut scene = Scene::set(server, LONG).await;
    let mut transfer = scene.transfer(SIZE / 8).await;
    transfer.read(SIZE / 16).await;
    for flow in [Flow::Stalled, Flow::Free] {
        for heading in [Heading::ToClient, Heading::ToServer] {
            scene.of_alice.set_flow(heading, flow);
            scene.of_fernand.set_flow(heading, flow);
        }
        if flow == Flow::Stalled {
            sleep(STALL).await;
        }
    }
    transfer.read(SIZE / 16).await;
    transfer.ends_whole().await;
    scene.leave().await;
}

async fn a_server_that_dies_and_returns_ends_connections_and_keeps_the_tube(shared: &Server) {
    let mut server = own(shared.kind()).await;
    let mut scene = Scene::set(&server, LONG).await;
    let mut transfer = scene.transfer(SIZE).await;
    transfer.read(SIZE / 8).await;
    patiently("the server is dead", server.kill())
        .await
        .unwrap();
    server.restart().await.unwrap();
    let back = Instant::now();
    transfer.breaks().await;
    scene.ends().await;
    println!("{}: noticed after {:?}", server.kind(), back.elapsed());
    assert!(back.elapsed() < NOTICE, "{:?}", back.elapsed());
    patiently("the tube works again", until_served(&scene.address)).await;
    scene.leave().await;
    server.stop().await;
}

async fn a_server_that_dies_leaves_direct_connections_alone(shared: &Server) {
    over(TransportName::Socks5Direct, async {
        let mut server = own(shared.kind()).await;
        let mut scene = Scene::set(&server, LONG).await;
        let mut transfer = scene.transfer(SIZE).await;
        transfer.read(SIZE / 8).await;
        patiently("the server is dead", server.kill())
            .await
            .unwrap();
        transfer.read(SIZE / 2).await;
        server.restart().await.unwrap();
        patiently("the tube works again", until_served(&scene.address)).await;
        transfer.read(SIZE / 4).await;
        transfer.ends_whole().await;
        scene.leave().await;
        server.stop().await;
    })
    .await;
}

async fn a_server_that_never_returns_ends_connections(shared: &Server) {
    let mut server = own(shared.kind()).await;
    let mut scene = Scene::set(&server, SHORT).await;
    let mut transfer = scene.transfer(SIZE).await;
    transfer.read(SIZE / 8).await;
    patiently("the server is dead", server.kill())
        .await
        .unwrap();
    transfer.breaks().await;
    scene.ends().await;
    // Nobody can say goodbye, and nobody waits for it.
    scene.leave().await;
    server.stop().await;
}

async fn a_session_that_is_resumed_too_late_is_a_new_one(server: &Server) {
    let mut scene = Scene::set(server, SHORT).await;
    let mut transfer = scene.transfer(SIZE).await;
    transfer.read(SIZE / 8).await;
    scene.of_fernand.set_door(Door::Refusing).await.unwrap();
    scene.of_fernand.cut(Ending::Reset);
    transfer.breaks().await;
    let (.., error) = scene.fernand.connection_closed().await;
    assert_eq!(error.unwrap().kind, FailureKind::Gone);
    scene.of_fernand.set_door(Door::Open).await.unwrap();
    // The server would have had it resumed.
    assert!(!scene.fernand.is_resumed().await);
    let (.., error) = scene.alice.connection_closed().await;
    // Alice hears of the new session, or that nobody there knows the bytestream any more.
    let told = error.unwrap().kind;
    assert!(matches!(told, FailureKind::Gone | FailureKind::Closed));
    patiently("the tube works again", until_served(&scene.address)).await;
    scene.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_takes_the_address_over_is_not_fought() {
    let kind = ServerKind::Prosody;
    if !kind.wanted().unwrap() {
        return;
    }
    let server = Server::shared(kind).await.unwrap();
    let account = server.fresh_account("alice").await.unwrap();
    let laptop = xmpp_parsers::jid::ResourcePart::new("laptop").unwrap();
    let credentials = credentials(server, &account).with_resource(&laptop);
    let mut first = Person::with(credentials.clone()).await.unwrap();
    let mut second = Person::with(credentials).await.unwrap();
    let why = first.event(|event| match event {
        Event::Offline {
            reason,
            retry_in: None,
        } => Some(reason.clone()),
        _ => None,
    });
    let why = why.await;
    assert!(why.contains("took over"), "{why}");
    second.online().await;
    let events = second.leave().await;
    let thrown_out = |event: &Event| matches!(event, Event::Offline { .. });
    assert!(!events.iter().any(thrown_out), "{events:#?}");
}

/// A server that no other test needs.
async fn own(kind: ServerKind) -> Server {
    own_of(kind, Setup::new()).await
}

async fn own_of(kind: ServerKind, setup: Setup) -> Server {
    let starting = Server::start(kind, setup);
    starting.await.unwrap()
}

/// Alice's echo in a tube to Fernand, with a link before each.
struct Scene {
    alice: Person,
    fernand: Person,
    of_alice: Link,
    of_fernand: Link,
    /// Where Fernand's programs connect.
    address: Address,
    _service: Serving,
}

impl Scene {
    async fn set(server: &Server, resume_limit: Duration) -> Self {
        let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
        let limited = |account: Account| account.with_resume_limit(resume_limit);
        let (mut alice, of_alice) = Person::linked(server, "alice", limited).await;
        let (mut fernand, of_fernand) = Person::linked(server, "fernand", limited).await;
        alice.online().await;
        fernand.online().await;
        let (alice, fernand) = befriended(alice, fernand).await;
        let shared = share_between(alice, fernand, &service.address, Family::Tcp).await;
        Self {
            alice: shared.alice,
            fernand: shared.fernand,
            of_alice,
            of_fernand,
            address: shared.address,
            _service: service,
        }
    }

    /// A program of Fernand's begins to write so many bytes, which come back.
    async fn transfer(&mut self, size: usize) -> Transfer {
        let program = connect(&self.address).await.unwrap();
        let (reader, mut writer) = tokio::io::split(program);
        let said = Content::of(size as u64, size);
        let expected = digest(&said);
        let writing = tokio::spawn(async move {
            writer.write_all(&said).await?;
            writer.shutdown().await
        });
        Transfer {
            reader,
            writing,
            expected,
            heard: Vec::with_capacity(size),
        }
    }

    /// Cuts the links in the middle of a transfer: hers, his, both.
    async fn cut_thrice(&mut self, transfer: &mut Transfer) -> std::io::Result<()> {
        transfer.try_read(SIZE / 4).await?;
        self.of_alice.cut(Ending::Reset);
        assert!(self.alice.is_resumed().await);
        transfer.try_read(SIZE / 4).await?;
        self.of_fernand.cut(Ending::Fin);
        assert!(self.fernand.is_resumed().await);
        transfer.try_read(SIZE / 4).await?;
        self.of_alice.cut(Ending::Fin);
        self.of_fernand.cut(Ending::Reset);
        transfer.try_read(SIZE / 4).await
    }

    /// Both sides are told that their connection is lost.
    async fn ends(&mut self) {
        for person in [&mut self.alice, &mut self.fernand] {
            let (.., error) = person.connection_closed().await;
            assert_eq!(error.unwrap().kind, FailureKind::Gone);
        }
    }

    async fn leave(self) {
        self.fernand.leave().await;
        self.alice.leave().await;
    }

    async fn leave_broken(mut self) {
        self.ends().await;
        patiently("the tube works again", until_served(&self.address)).await;
        self.leave().await;
    }
}

/// Bytes on their way there and back.
struct Transfer {
    reader: ReadHalf<Stream>,
    writing: JoinHandle<std::io::Result<()>>,
    expected: String,
    heard: Vec<u8>,
}

impl Transfer {
    /// So many more bytes are back.
    async fn read(&mut self, count: usize) {
        self.try_read(count).await.unwrap();
    }

    /// So many more bytes are back, or the program is told that the rest is lost.
    async fn try_read(&mut self, count: usize) -> std::io::Result<()> {
        let start = self.heard.len();
        self.heard.resize(start + count, 0);
        let reading = self.reader.read_exact(&mut self.heard[start..]);
        match timeout(BULK, reading).await {
            Ok(read) => read.map(drop),
            Err(_) => panic!("waited in vain for byte {}", start + count),
        }
    }

    /// All is back, and nothing else.
    async fn ends_whole(mut self) {
        let end = self.reader.read_to_end(&mut self.heard);
        patiently("the echo ends", end).await.unwrap();
        assert_eq!(digest(&self.heard), self.expected);
        self.writing.await.unwrap().unwrap();
    }

    /// The program sees that something is missing.
    async fn breaks(&mut self) {
        let rest = self.reader.read_to_end(&mut self.heard);
        let read = patiently("the connection has ended", rest).await;
        // The kernel tells of a reset once: whoever of the two comes first.
        let written = (&mut self.writing).await.unwrap();
        let broken = read.and(written).unwrap_err();
        let known = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        assert!(known.contains(&broken.kind()), "{broken}");
    }
}

/// Each way, and more than all buffers on the way hold.
const SIZE: usize = 32 * 1024 * 1024;

/// Time for a quarter of it where everything else is tested at the same time.
const BULK: Duration = Duration::from_secs(240);

/// What is promised to be a pause: a network that stalls for this long and comes back.
const STALL: Duration = Duration::from_secs(20);

/// Both sides know of it so soon after the server is back: long before they would give up, after [`LONG`].
const NOTICE: Duration = Duration::from_secs(30);

/// Longer than any outage here.
const LONG: Duration = Duration::from_secs(110);

/// Nobody waits longer for a lost session.
const SHORT: Duration = Duration::from_secs(3);
