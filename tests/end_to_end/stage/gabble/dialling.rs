//! How a Gabble dials the hosts that it was told of.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Host;

/// Tries the hosts strictly one after another, in the given order; which one it was.
pub(crate) async fn dial_in_turn(hosts: &[Host], hash: String) -> Option<(Host, TcpStream)> {
    for host in hosts {
        if let Some(stream) = dial(host, hash.clone()).await {
            return Some((host.clone(), stream));
        }
    }
    None
}

/// Connects to a host, and asks it for the stream of this hash.
pub(crate) async fn dial(host: &Host, hash: String) -> Option<TcpStream> {
    let connecting = TcpStream::connect((host.host.as_str(), host.port));
    let mut stream = timeout(CONNECT, connecting).await.ok()?.ok()?;
    let asking = ask(&mut stream, &hash);
    timeout(REPLY, asking).await.ok()??;
    Some(stream)
}

/// A Gabble is particular about the reply: a name of any content or, as an old ejabberd has it,
/// none at all, and never a port.
async fn ask(stream: &mut TcpStream, hash: &str) -> Option<()> {
    stream.write_all(&[5, 1, 0]).await.ok()?;
    if hear::<2>(stream).await? != [5, 0] {
        return None;
    }
    let request = [&[5, 1, 0, 3, 40], hash.as_bytes(), &[0, 0]].concat();
    stream.write_all(&request).await.ok()?;
    match hear(stream).await? {
        [5, 0, 0, 0] => {}
        [5, 0, 0, 3] => {
            let [length] = hear(stream).await?;
            let mut name = vec![0; usize::from(length)];
            stream.read_exact(&mut name).await.ok()?;
        }
        _ => return None,
    }
    (hear(stream).await? == [0, 0]).then_some(())
}

async fn hear<const N: usize>(stream: &mut TcpStream) -> Option<[u8; N]> {
    let mut heard = [0; N];
    stream.read_exact(&mut heard).await.ok()?;
    Some(heard)
}

/// For one host to take the connection.
const CONNECT: Duration = Duration::from_secs(10);

/// For the answer to CONNECT.
const REPLY: Duration = Duration::from_secs(30);
