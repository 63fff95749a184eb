//! Tries a proxy out: both ends of a bytestream through it are this side's own.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tubes_transport::{AskError, Kind, Stanzas, StreamId};
use xmpp_parsers::jid::FullJid;

use super::Verdict;
use crate::attempt::activate;
use crate::dial::{Candidate, Errand, dial};
use crate::{Destination, Socks5};

/// Whether the proxy passes on what it is given, and all of it.
pub(super) async fn run(
    proxy: &Candidate,
    account: &FullJid,
    stanzas: &Stanzas,
    socks5: &Socks5,
) -> Verdict {
    match timeout(TRIAL, relay(proxy, account, stanzas, socks5)).await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(why)) => Verdict::Fails(why),
        Err(_) => Verdict::Fails("no answer in time".to_owned()),
    }
}

async fn relay(
    proxy: &Candidate,
    account: &FullJid,
    stanzas: &Stanzas,
    socks5: &Socks5,
) -> Result<Verdict, String> {
    let stream = StreamId::from(format!("trial-{:032x}", rand::random::<u128>()));
    let errand = Errand {
        kind: Kind::Ours,
        destination: Destination::new(&stream, account, account),
        deadline: Instant::now() + TRIAL,
    };
    // The responder comes first: some proxies tell the two apart by that.
    let responder = dial(proxy, errand, TRIAL, socks5.queues())
        .await
        .map_err(|why| why.why)?;
    let requester = dial(proxy, errand, TRIAL, socks5.queues())
        .await
        .map_err(|why| why.why)?;
    match activate(&proxy.host.jid, &stream, account, stanzas).await {
        Ok(()) => {}
        // That says nothing of the proxy.
        Err(AskError::Gone(_)) => return Ok(Verdict::Untried),
        Err(why) => return Err(format!("it does not activate the stream: {why}")),
    }
    pass_bursts(requester, responder, socks5.stillness).await
}

/// Bursts of several lengths, each way.
async fn pass_bursts(
    mut a: TcpStream,
    mut b: TcpStream,
    stillness: Duration,
) -> Result<Verdict, String> {
    for length in BURSTS {
        let there = pass(&mut a, &mut b, length, stillness).await?;
        let back = pass(&mut b, &mut a, length, stillness).await?;
        if let (Passed::WithHelp, _) | (_, Passed::WithHelp) = (there, back) {
            return Ok(Verdict::Withholds);
        }
    }
    Ok(Verdict::Relays)
}

enum Passed {
    All,
    /// Only when another byte followed.
    WithHelp,
}

async fn pass(
    from: &mut TcpStream,
    to: &mut TcpStream,
    length: usize,
    stillness: Duration,
) -> Result<Passed, String> {
    let broke = |why: std::io::Error| format!("the stream broke: {why}");
    let burst: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
    from.write_all(&burst).await.map_err(broke)?;
    let mut arrived = vec![0; length];
    let mut have = 0;
    let passed = loop {
        let Some(rest) = arrived.get_mut(have..).filter(|rest| !rest.is_empty()) else {
            break Passed::All;
        };
        match timeout(stillness, to.read(rest)).await {
            Ok(Ok(0)) => return Err("the stream ended".to_owned()),
            Ok(Ok(read)) => have += read,
            Ok(Err(why)) => return Err(broke(why)),
            Err(_) => {
                from.write_all(&[0]).await.map_err(broke)?;
                let mut rest = vec![0; length - have + 1];
                to.read_exact(&mut rest).await.map_err(broke)?;
                return Ok(Passed::WithHelp);
            }
        }
    };
    match arrived == burst {
        true => Ok(passed),
        false => Err("what arrived is not what was sent".to_owned()),
    }
}

/// For the whole of it.
const TRIAL: Duration = Duration::from_secs(10);

/// Bytes in a burst. Prosody 0.12 reads 8192 at a time, and withholds what is past 4096 of the last
/// ones. Over a network the burst may come in other pieces, so there are several.
const BURSTS: [usize; 4] = [5000, 13_000, 6000, 70_000];
