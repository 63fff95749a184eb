//! One direction may end before the other.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes_server::Server;

use crate::stage::{Content, Family, Service, Stream, digest, patiently, share};

crate::on_each_server_and_transport!(
    the_service_may_answer_after_the_program_has_ended,
    the_program_may_answer_after_the_service_has_ended,
);

crate::in_clear_too!(
    the_service_may_answer_after_the_program_has_ended,
    the_program_may_answer_after_the_service_has_ended,
);

async fn the_service_may_answer_after_the_program_has_ended(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let mut shared = share(server, &service.address()).await;
    let program = shared.program().await;
    converse(program, service.accept().await).await;
    assert_eq!(shared.fernand.connection_closed().await.2, None);
    assert_eq!(shared.alice.connection_closed().await.2, None);
    shared.leave().await;
}

async fn the_program_may_answer_after_the_service_has_ended(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let mut shared = share(server, &service.address()).await;
    let program = shared.program().await;
    converse(service.accept().await, program).await;
    assert_eq!(shared.fernand.connection_closed().await.2, None);
    assert_eq!(shared.alice.connection_closed().await.2, None);
    shared.leave().await;
}

/// One says something and ends; only then the other answers.
async fn converse(mut first: Stream, mut second: Stream) {
    let (question, answer) = (Content::of(1, 50_000), Content::of(2, 300_000));
    first.write_all(&question).await.unwrap();
    first.shutdown().await.unwrap();
    assert_eq!(heard(&mut second).await, digest(&question));
    let answering = async {
        second.write_all(&answer).await.unwrap();
        second.shutdown().await.unwrap();
    };
    let ((), heard) = tokio::join!(answering, heard(&mut first));
    assert_eq!(heard, digest(&answer));
}

/// The digest of all that is heard to the end.
async fn heard(stream: &mut Stream) -> String {
    let mut all = Vec::new();
    let reading = stream.read_to_end(&mut all);
    patiently("one side has said all", reading).await.unwrap();
    digest(&all)
}
