//! Programs and services on sockets of every family.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes_server::Server;

use crate::stage::{Content, Family, Service, digest, echo, patiently, share_as};

crate::on_each_server_and_transport!(
    a_program_on_tcp_reaches_a_service_on_tcp,
    a_program_on_tcp_reaches_a_service_on_a_unix_socket,
    a_program_on_a_unix_socket_reaches_a_service_on_tcp,
    a_program_on_a_unix_socket_reaches_a_service_on_a_unix_socket,
    abstract_sockets_serve_at_both_ends,
    ipv6_serves_at_both_ends,
);

crate::in_clear_too!(
    a_program_on_tcp_reaches_a_service_on_tcp,
    a_program_on_tcp_reaches_a_service_on_a_unix_socket,
    a_program_on_a_unix_socket_reaches_a_service_on_tcp,
    a_program_on_a_unix_socket_reaches_a_service_on_a_unix_socket,
    abstract_sockets_serve_at_both_ends,
    ipv6_serves_at_both_ends,
);

async fn a_program_on_tcp_reaches_a_service_on_tcp(server: &Server) {
    a_program_reaches_the_service(server, Family::Tcp, Family::Tcp).await;
}

async fn a_program_on_tcp_reaches_a_service_on_a_unix_socket(server: &Server) {
    a_program_reaches_the_service(server, Family::Tcp, Family::Unix).await;
}

async fn a_program_on_a_unix_socket_reaches_a_service_on_tcp(server: &Server) {
    a_program_reaches_the_service(server, Family::Unix, Family::Tcp).await;
}

async fn a_program_on_a_unix_socket_reaches_a_service_on_a_unix_socket(server: &Server) {
    a_program_reaches_the_service(server, Family::Unix, Family::Unix).await;
}

async fn abstract_sockets_serve_at_both_ends(server: &Server) {
    a_program_reaches_the_service(server, Family::Abstract, Family::Abstract).await;
}

async fn ipv6_serves_at_both_ends(server: &Server) {
    if let Err(why) = Service::listen(Family::TcpOverIpv6).await {
        eprintln!("skipped: this machine has no IPv6: {why}");
        return;
    }
    a_program_reaches_the_service(server, Family::TcpOverIpv6, Family::TcpOverIpv6).await;
}

async fn a_program_reaches_the_service(server: &Server, program: Family, service: Family) {
    let service = Service::listen(service).await.unwrap().serve(echo);
    let mut shared = share_as(server, &service.address, program).await;
    let mut socket = shared.program().await;
    let said = Content::of(1, 10_000);
    socket.write_all(&said).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let reading = socket.read_to_end(&mut answer);
    patiently("the service has answered", reading)
        .await
        .unwrap();
    assert_eq!(digest(&answer), digest(&said));
    let closed = shared.fernand.connection_closed().await;
    assert_eq!(closed, (10_000, 10_000, None));
    shared.leave().await;
}
