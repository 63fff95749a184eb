//! What arrives is what was sent.

use tubes::Certainty;
use tubes_server::Server;

use super::{Content, Parties, delivered, ended};
use crate::stage::digest;

crate::on_each_server_and_transport!(the_right_bytes_arrive, an_empty_file_arrives);

mod without_encryption {
    use super::the_right_bytes_arrive;

    crate::in_clear_too!(the_right_bytes_arrive);
}

async fn the_right_bytes_arrive(server: &Server) {
    arrives(server, &Content::of(1, 300_001)).await;
}

async fn an_empty_file_arrives(server: &Server) {
    arrives(server, b"").await;
}

async fn arrives(server: &Server, bytes: &[u8]) {
    let mut parties = Parties::on(server).await;
    let path = parties.write("photo.jpg", bytes);
    let sending = parties.send(&path).await;
    let receiving = parties.offered().await;
    assert_eq!(receiving.particulars().name, "photo.jpg");
    assert_eq!(receiving.particulars().size, bytes.len() as u64);
    let progress = [sending.progress(), receiving.progress()];
    receiving.accept(parties.destination()).await.unwrap();
    let [sent, received] = ended(sending, receiving).await.map(delivered);
    for side in [&sent, &received] {
        assert_eq!(side.certainty, Certainty::Verified);
    }
    assert_eq!(sent.sha256, received.sha256);
    for side in progress {
        assert_eq!(side.bytes(), bytes.len() as u64);
    }
    let arrived = parties.there.path().join("photo.jpg");
    assert_eq!(received.path.as_ref(), Some(&arrived));
    assert_eq!(digest(&std::fs::read(arrived).unwrap()), digest(bytes));
    parties.leave().await;
}
