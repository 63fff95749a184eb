//! Transports of the embedder's own.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::transport::Transport;
use tubes::{Event, Ibb};
use tubes_memory::Memory;
use tubes_server::Server;

use crate::stage::{
    Content, Family, Person, Service, befriended, digest, patiently, share_between,
};

crate::on_each_server!(
    a_transport_of_ones_own_carries_the_connection,
    a_transport_that_cannot_reach_the_peer_is_fallen_back_from,
);

async fn a_transport_of_ones_own_carries_the_connection(server: &Server) {
    let memory = Memory::default();
    let (transport, fell_back_from) = carried_by(server, memory.clone(), memory).await;
    assert_eq!(transport, "memory");
    assert!(fell_back_from.is_empty(), "{fell_back_from:?}");
}

async fn a_transport_that_cannot_reach_the_peer_is_fallen_back_from(server: &Server) {
    // Two that know nothing of each other, as in two processes.
    let carried = carried_by(server, Memory::default(), Memory::default()).await;
    let (transport, fell_back_from) = carried;
    assert_eq!(transport, "ibb");
    let (failed, why) = fell_back_from.first().unwrap();
    assert_eq!(failed, "urn:x-tubes:memory:0");
    assert!(why.contains("item-not-found"), "{why}");
}

/// Carries something to its end, and returns what carried it and what failed before.
async fn carried_by(
    server: &Server,
    alices: Memory,
    fernands: Memory,
) -> (&'static str, Vec<(String, String)>) {
    let ladder = |memory: Memory| -> Vec<Arc<dyn Transport>> {
        vec![Arc::new(memory), Arc::new(Ibb::new())]
    };
    let (alice, fernand) = tokio::join!(
        Person::with_ladder(server, "alice", ladder(alices)),
        Person::with_ladder(server, "fernand", ladder(fernands)),
    );
    let service = Service::listen(Family::Tcp).await.unwrap();
    let (alice, fernand) = befriended(alice, fernand).await;
    let mut shared = share_between(alice, fernand, &service.address(), Family::Tcp).await;
    let mut program = shared.program().await;
    let mut served = service.accept().await;
    let said = Content::of(1, 300_000);
    let saying = async {
        program.write_all(&said).await.unwrap();
        program.shutdown().await.unwrap();
    };
    let mut heard = Vec::new();
    let carrying = async { tokio::join!(saying, served.read_to_end(&mut heard)) };
    patiently("it is carried", carrying).await.1.unwrap();
    assert_eq!(digest(&heard), digest(&said));
    drop((program, served));
    let opened = shared.fernand.event(|event| match event {
        Event::ConnectionOpened {
            transport,
            fell_back_from,
            ..
        } => Some((*transport, fell_back_from.clone())),
        _ => None,
    });
    let opened = opened.await;
    shared.leave().await;
    opened
}
