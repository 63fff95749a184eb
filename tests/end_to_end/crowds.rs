//! Many connections, and many tubes, at a time.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tubes::{Access, Address, Direction, Event, Offer, TubeId};
use tubes_server::Server;

use crate::stage::{
    Content, Family, Person, Service, Stream, connect, digest, echo, pair, patiently, share,
};

crate::on_each_server_and_transport!(
    a_hundred_programs_at_once_get_their_own_bytes,
    several_tubes_of_an_account_lead_to_their_own_services,
);

async fn a_hundred_programs_at_once_get_their_own_bytes(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let shared = share(server, &service.address).await;
    let mut programs = JoinSet::new();
    for seed in 0..CROWD {
        let address = shared.address.clone();
        programs.spawn(async move { ask(connect(&address).await.unwrap(), seed).await });
    }
    // All of them may take long on a busy machine, but one after the other is served.
    let mut served = 0;
    while let Some(program) = patiently("one more is served", programs.join_next()).await {
        program.unwrap();
        served += 1;
    }
    assert_eq!(served, CROWD);
    shared.leave().await;
}

async fn several_tubes_of_an_account_lead_to_their_own_services(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let mut services = Vec::new();
    for name in NAMES {
        let service = Service::listen(Family::Tcp).await.unwrap();
        let service = service.serve(move |mut stream| async move {
            stream.write_all(name.as_bytes()).await?;
            echo(stream).await
        });
        let offer = Offer::new(fernand.jid.clone(), name, service.address.clone());
        alice.tubes.offer(offer).await.unwrap();
        services.push(service);
    }
    let mut programs = JoinSet::new();
    for (seed, name) in (0..).zip(NAMES) {
        let address = accept(&mut fernand, name).await;
        programs.spawn(async move {
            let mut socket = connect(&address).await.unwrap();
            let mut greeting = vec![0; name.len()];
            socket.read_exact(&mut greeting).await.unwrap();
            assert_eq!(greeting, name.as_bytes());
            ask(socket, seed).await;
        });
    }
    patiently("all programs are served", programs.join_all()).await;
    fernand.leave().await;
    alice.leave().await;
}

/// Accepts the tube that offers the service of this name.
async fn accept(person: &mut Person, name: &str) -> Address {
    let tube: TubeId = person
        .event(|event| match event {
            Event::TubeOffered {
                tube,
                service,
                direction: Direction::In,
                ..
            } if service == name => Some(*tube),
            _ => None,
        })
        .await;
    let listen = Family::Tcp.place().address;
    let accepting = person.tubes.accept(tube, listen, Access::Localhost);
    accepting.await.unwrap()
}

/// Says what only this seed says, and checks the echo.
async fn ask(mut socket: Stream, seed: u64) {
    let said = Content::of(seed, 5_000 + usize::try_from(seed).unwrap() * 97);
    socket.write_all(&said).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    assert_eq!(digest(&answer), digest(&said), "seed {seed}");
}

/// Programs that connect at once.
const CROWD: u64 = 100;

const NAMES: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
