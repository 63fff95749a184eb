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
    let (at_program, at_service) = tokio::join!(exchange(program, &up), exchange(served, &down));
    assert_eq!(at_service, digest(&up));
    assert_eq!(at_program, digest(&down));
    let size = u64::try_from(SIZE).unwrap();
    let closed = shared.fernand.connection_closed().await;
    assert_eq!(closed, (size, size, None));
    shared.leave().await;
}

/// Says all this while it listens to the end; returns the digest of what it heard. All of it may take long
/// on a busy machine, but never does nothing move.
async fn exchange(stream: Stream, said: &[u8]) -> String {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let saying = async {
        for part in said.chunks(PART) {
            let saying = writer.write_all(part);
            patiently("more is taken", saying).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    };
    let hearing = async {
        let mut heard = Vec::new();
        while patiently("more arrives", reader.read_buf(&mut heard))
            .await
            .unwrap()
            > 0
        {}
        heard
    };
    let ((), heard) = tokio::join!(saying, hearing);
    digest(&heard)
}

const SIZE: usize = 8 * 1024 * 1024;

const PART: usize = 64 * 1024;
