//! A listening socket that fails.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{self, Shutdown, sockopt};
use rustix::process::{self, PidfdFlags, PidfdGetfdFlags};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::{Address, Event, FailureKind, Offer};
use tubes_server::Server;

use crate::stage::{Family, Service, connect, echo, patiently, share_as};

crate::on_each_server_and_transport!(a_listening_socket_that_fails_ends_its_tube_and_nothing_else);

async fn a_listening_socket_that_fails_ends_its_tube_and_nothing_else(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let mut shared = share_as(server, &service.address, Family::Tcp).await;
    let mut program = shared.program().await;
    program.write_all(b"a").await.unwrap();
    assert_eq!(program.read_u8().await.unwrap(), b'a');

    break_listener(&shared.address);
    let failed = shared.fernand.tube_closed().await.unwrap();
    assert_eq!(failed.kind, FailureKind::Io);
    assert!(failed.message.contains("local socket failed"), "{failed}");
    // The offerer is told.
    let closed = shared.alice.tube_closed().await.unwrap();
    assert!(
        matches!(closed.kind, FailureKind::Closed | FailureKind::Declined),
        "{closed}"
    );

    let offer = Offer::new(
        shared.fernand.jid.clone(),
        "x-next",
        service.address.clone(),
    );
    shared.alice.tubes.offer(offer).await.unwrap();
    let next = shared.fernand.offered().await;
    let listen = "127.0.0.1:0".parse().unwrap();
    let accepting = shared
        .fernand
        .tubes
        .accept(next, listen, tubes::Access::Localhost);
    let address = patiently("the next tube is accepted", accepting)
        .await
        .unwrap();
    let mut program = connect(&address).await.unwrap();
    program.write_all(b"b").await.unwrap();
    assert_eq!(program.read_u8().await.unwrap(), b'b');
    // It can also offer one itself.
    let offer = Offer::new(shared.alice.jid.clone(), "x-back", service.address.clone());
    let back = shared.fernand.tubes.offer(offer).await.unwrap();
    assert!(shared.fernand.tubes.state().tubes.contains_key(&back));
    drop(program);
    let (_, of_fernand) = shared.leave().await;
    let offline = |event: &Event| matches!(event, Event::Offline { .. });
    assert!(!of_fernand.iter().any(offline), "{of_fernand:#?}");
}

/// Makes the listening socket at this address fail: to accept at one that was shut down is an
/// error for good (`EINVAL`).
fn break_listener(address: &Address) {
    let Address::Tcp { host, port } = address else {
        panic!("only sockets of TCP are found by their address");
    };
    let wanted = format!("{host}:{port}").parse().unwrap();
    let is_it = |fd: &OwnedFd| {
        let name = net::getsockname(fd).map(SocketAddr::try_from);
        name == Ok(Ok(wanted)) && sockopt::socket_acceptconn(fd) == Ok(true)
    };
    // There may be several handles of it: other tests look through the descriptors, too.
    let listener = descriptors().find(is_it).unwrap();
    net::shutdown(listener, Shutdown::Both).unwrap();
}

/// Another handle for each of this process's descriptors, one after the other: what is held here stays open,
/// whatever another test closes meanwhile.
fn descriptors() -> impl Iterator<Item = OwnedFd> {
    let own = process::pidfd_open(process::getpid(), PidfdFlags::empty()).unwrap();
    let names = fs::read_dir("/proc/self/fd").unwrap();
    let numbers = names.filter_map(|name| name.ok()?.file_name().to_str()?.parse().ok());
    // Some are closed meanwhile, by other tests.
    numbers
        .filter_map(move |number| process::pidfd_getfd(&own, number, PidfdGetfdFlags::empty()).ok())
}
