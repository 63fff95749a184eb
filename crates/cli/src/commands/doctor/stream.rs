//! Whether a bytestream carries bytes: from one login to the other, compared.

use std::fmt;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tubes::Ibb;
use tubes::transport::{
    Attempt, Bytestream, ConnectError, Kind, Plan, Role, StreamId, Transport, Wire,
};

use super::{Client, Finding};
use crate::output::bytes;

/// Opens an in-band bytestream, sends for a while, and compares what arrives.
pub(super) async fn in_band(sender: &Client, receiver: &Client) -> Finding {
    match carry(&Ibb::new(), sender, receiver).await {
        Ok(carried @ Carried::Intact { .. }) => Finding::Fine(format!("in-band, {carried}")),
        Ok(damaged) => Finding::Bad(format!("in-band, {damaged}")),
        Err(why) => Finding::Bad(format!("an in-band bytestream does not work: {why}")),
    }
}

/// What became of what was sent.
pub(super) enum Carried {
    Damaged { at: u64 },
    Intact { count: u64, took: Duration },
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { at } => write!(f, "what arrived was damaged at byte {at}"),
            Self::Intact { count, took } => {
                let took = took.as_secs_f64();
                let rate = *count as f64 / took.max(f64::EPSILON);
                let (count, rate) = (bytes(*count), bytes(rate as u64));
                write!(
                    f,
                    "{count} in {took:.1} s ({rate}/s), and what arrived is what was sent"
                )
            }
        }
    }
}

/// Opens a bytestream by this transport, sends for a while, and compares what arrives.
pub(super) async fn carry(
    transport: &dyn Transport,
    sender: &Client,
    receiver: &Client,
) -> Result<Carried, ConnectError> {
    let stream = StreamId::from(format!("doctor-{:032x}", rand::random::<u128>()));
    let (mut asking, mut answering) = (
        claim(sender, receiver, &stream)?,
        claim(receiver, sender, &stream)?,
    );
    let requester = plan(Role::Requester, sender, receiver, &stream);
    let responder = plan(Role::Responder, receiver, sender, &stream);
    let (here, there) = tokio::try_join!(
        open(transport, requester, &mut asking),
        open(transport, responder, &mut answering)
    )?;
    let begun = Instant::now();
    let seed = rand::random();
    let (sent, compared) = tokio::try_join!(send(here, seed), compare(there, seed))?;
    Ok(match compared {
        Compared::Equal(count) if count == sent => Carried::Intact {
            count,
            took: begun.elapsed(),
        },
        Compared::Equal(at) | Compared::Different { at } => Carried::Damaged { at },
    })
}

fn claim(own: &Client, peer: &Client, stream: &StreamId) -> Result<Wire, ConnectError> {
    let claimed = own
        .tubes
        .stanzas()
        .claim(peer.jid.clone().into(), stream.clone());
    claimed.ok_or_else(|| ConnectError::Protocol("the stream's identifier is in use".to_owned()))
}

fn plan(role: Role, own: &Client, peer: &Client, stream: &StreamId) -> Plan {
    Plan {
        role,
        stream: stream.clone(),
        local: own.jid.clone(),
        peer: peer.jid.clone(),
        account: own.jid.clone(),
        kind: Kind::Ours,
        offer: None,
        stanzas: own.tubes.stanzas().clone(),
    }
}

async fn open(
    transport: &dyn Transport,
    plan: Plan,
    wire: &mut Wire,
) -> Result<Bytestream, ConnectError> {
    let attempt: Box<dyn Attempt> = transport.prepare(plan).await?;
    attempt.connect(None, wire).await
}

/// Sends for a while; returns how much, when the other side has taken all of it.
async fn send(mut stream: Bytestream, seed: u64) -> Result<u64, ConnectError> {
    let mut content = SmallRng::seed_from_u64(seed);
    let mut block = [0; BLOCK];
    let mut sent = 0;
    let begun = Instant::now();
    while sent < MOST && begun.elapsed() < LONGEST {
        content.fill_bytes(&mut block);
        stream.write_all(&block).await?;
        sent += BLOCK as u64;
    }
    stream.shutdown().await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(sent)
}

/// How what arrived compares with what was to be sent.
enum Compared {
    Different { at: u64 },
    Equal(u64),
}

async fn compare(mut stream: Bytestream, seed: u64) -> Result<Compared, ConnectError> {
    let mut content = SmallRng::seed_from_u64(seed);
    let (mut block, mut wanted) = ([0; BLOCK], [0; BLOCK]);
    let mut count = 0;
    loop {
        let filled = fill(&mut stream, &mut block).await?;
        content.fill_bytes(&mut wanted);
        let (got, _) = block.split_at(filled);
        let differs = got
            .iter()
            .zip(&wanted)
            .position(|(got, wanted)| got != wanted);
        if let Some(at) = differs {
            return Ok(Compared::Different {
                at: count + at as u64,
            });
        }
        count += filled as u64;
        if filled < BLOCK {
            stream.shutdown().await?;
            return Ok(Compared::Equal(count));
        }
    }
}

/// Reads until the block is full or the stream ends. `BLOCK` is what was written at a time, and
/// arrives in any pieces.
async fn fill(stream: &mut Bytestream, block: &mut [u8; BLOCK]) -> Result<usize, ConnectError> {
    let mut rest = &mut block[..];
    while !rest.is_empty() {
        let read = stream.read(rest).await?;
        if read == 0 {
            break;
        }
        let (_, unread) = rest.split_at_mut(read);
        rest = unread;
    }
    let left = rest.len();
    Ok(BLOCK - left)
}

/// What is written at a time, in bytes.
const BLOCK: usize = 4096;

/// Enough to tell a rate on a fast server, in bytes.
const MOST: u64 = 256 * 1024;

/// Enough to tell a rate on a slow one.
const LONGEST: Duration = Duration::from_secs(3);
