//! Much data, both ways at once.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes_server::Server;

use crate::stage::{Content, Family, Service, Stream, digest, patiently, share};

crate::on_each_server_and_transport!(eight_mebibytes_each_way_at_once_arrive_unchanged);

async fn eight_mebibytes_each_way_at_once_arrive_unchanged(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let mut shared = share(server, &service.address()).await;
    let (up, down) = (Content::of(1, SIZE), Content::of(2, SIZE));
    let program = shared.program().await;
    let served = service.accept().await;
    let exchange = async { tokio::join!(exchange(program, &up), exchange(served, &down)) };
    let (at_program, at_service) = patiently("all has arrived", exchange).await;
    assert_eq!(at_service, digest(&up));
    assert_eq!(at_program, digest(&down));
    let size = u64::try_from(SIZE).unwrap();
    let closed = shared.fernand.connection_closed().await;
    assert_eq!(closed, (size, size, None));
    shared.leave().await;
}

/// Says all this while it listens to the end; returns the digest of what it heard.
async fn exchange(stream: Stream, said: &[u8]) -> String {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let saying = async {
        writer.write_all(said).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut heard = Vec::new();
    let ((), heard_length) = tokio::join!(saying, reader.read_to_end(&mut heard));
    heard_length.unwrap();
    digest(&heard)
}

const SIZE: usize = 8 * 1024 * 1024;
