//! SOCKS5 bytestreams with a telepathy-gabble at the other end.
//!
//! - it joins our tube, asks for the bytestream, and waits to be dialled (`joining.rs`)
//! - it offers a tube, is asked for the bytestream, and dials (`offering.rs`)
//! - both meet at a proxy (`relaying.rs`)

mod joining;
mod offering;
mod relaying;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tubes_transport::AskError;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::stage::{Content, LENGTH, Stream, digest, patiently};

/// Alice's echo says back what the Gabble says.
async fn hears_its_echo(stream: &mut TcpStream) {
    let said = Content::of(4, LENGTH);
    stream.write_all(&said).await.unwrap();
    let mut heard = vec![0; LENGTH];
    let reading = stream.read_exact(&mut heard);
    patiently("the echo arrives", reading).await.unwrap();
    assert_eq!(digest(&heard), digest(&said));
}

/// The Gabble's service says back what Alice's program says.
async fn echoes(stream: &mut TcpStream, program: &mut Stream) {
    let said = Content::of(6, LENGTH);
    program.write_all(&said).await.unwrap();
    let mut heard = vec![0; LENGTH];
    let reading = stream.read_exact(&mut heard);
    patiently("all arrives at the Gabble", reading)
        .await
        .unwrap();
    stream.write_all(&heard).await.unwrap();
    let mut back = vec![0; LENGTH];
    let reading = program.read_exact(&mut back);
    patiently("the echo arrives", reading).await.unwrap();
    assert_eq!(digest(&back), digest(&said));
}

/// It was not found, and a Gabble would go on.
fn assert_not_found<T: std::fmt::Debug>(answer: Result<T, AskError>) {
    let Err(AskError::Refused(why)) = answer else {
        panic!("not refused, but {answer:?}");
    };
    assert_eq!(why.defined_condition, DefinedCondition::ItemNotFound);
}
