//! Carries one connection over a link.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::splitter::{Piece, Splitter};
use super::{Conduct, Ending, Flow, Heading, Shared};
use crate::Fate;
use crate::fate::{HeldBack, replaced};

/// Carries both directions until both have ended, or one breaks, or the link is cut.
pub(super) async fn carry(
    shared: Arc<Shared>,
    mut client: TcpStream,
    mut scissors: broadcast::Receiver<Ending>,
) {
    // A server that is not there is one that hangs up.
    let Ok(mut server) = TcpStream::connect(shared.server).await else {
        return end(&client, Ending::Reset);
    };
    // What waits here is to wait because it was told to.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ending = {
        let (client_reader, client_writer) = client.split();
        let (server_reader, server_writer) = server.split();
        let up = direction(&shared, Heading::ToServer, client_reader, server_writer);
        let down = direction(&shared, Heading::ToClient, server_reader, client_writer);
        tokio::select! {
            both = async { tokio::try_join!(up, down) } => both.err().unwrap_or(Ending::Fin),
            cut = scissors.recv() => cut.unwrap_or(Ending::Fin),
        }
    };
    end(&client, ending);
    end(&server, ending);
}

/// Prepares how a connection ends when it is dropped.
pub(super) fn end(connection: &TcpStream, ending: Ending) {
    if ending == Ending::Reset {
        // One that is gone already needs no reset.
        let _ = connection.set_zero_linger();
    }
}

/// Carries one direction; the error says how the whole connection is to end.
async fn direction(
    shared: &Shared,
    heading: Heading,
    reader: ReadHalf<'_>,
    mut writer: WriteHalf<'_>,
) -> Result<(), Ending> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let mut intake = Intake {
        shared,
        heading,
        queue: sender,
        held_back: HeldBack::new(),
    };
    let reading = async {
        let end = intake.run(reader).await;
        // The other half ends when it has written what is queued.
        drop(intake);
        Ok(end)
    };
    let conduct = shared.conduct.subscribe();
    let writing = write(conduct, heading, receiver, &mut writer);
    match tokio::try_join!(reading, writing)? {
        (End::Eof, ()) => writer.shutdown().await.map_err(|_| Ending::Reset),
        (End::Cut(ending), ()) => Err(ending),
    }
}

/// How reading ended.
enum End {
    Eof,
    Cut(Ending),
}

/// What is to be written, and not before when.
struct Parcel {
    due: Instant,
    bytes: Vec<u8>,
}

/// Reads one direction and decides what becomes of it.
struct Intake<'a> {
    shared: &'a Shared,
    heading: Heading,
    queue: mpsc::Sender<Parcel>,
    held_back: HeldBack<Vec<u8>>,
}

impl Intake<'_> {
    async fn run(&mut self, mut reader: ReadHalf<'_>) -> End {
        let mut splitter = Splitter::default();
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = match reader.read(&mut buffer).await {
                Ok(0) => break,
                Ok(read) => buffer.get(..read).unwrap_or_default(),
                // A break is passed on as a break.
                Err(_) => return End::Cut(Ending::Reset),
            };
            // Nor is the next to wait for an acknowledgement.
            tubes_tcp::acknowledge(reader.as_ref());
            splitter.push(read);
            while let Some(piece) = splitter.next_piece() {
                if let Some(ending) = self.handle(piece).await {
                    return End::Cut(ending);
                }
            }
        }
        if let Some(Piece::Raw(bytes)) = splitter.rest() {
            self.pass(bytes, Duration::ZERO).await;
        }
        End::Eof
    }

    /// Lets a part pass, or not; how the connection ends, if it does.
    async fn handle(&mut self, piece: Piece) -> Option<Ending> {
        let (element, mut bytes) = match piece {
            Piece::Element(element, bytes) => (element, bytes),
            Piece::Raw(bytes) => {
                self.pass(bytes, Duration::ZERO).await;
                return None;
            }
        };
        let is_stanza = matches!(element.name(), "iq" | "message" | "presence");
        let mut delay = Duration::ZERO;
        let mut ending = None;
        match self.shared.fate(self.heading, &element) {
            Fate::Cut => return Some(Ending::Reset),
            // A reset might overtake what was just written.
            Fate::CutAfter => ending = Some(Ending::Fin),
            Fate::Delay(time) => delay = time,
            Fate::Drop => return None,
            Fate::Duplicate => self.pass(bytes.clone(), delay).await,
            Fate::Garble => bytes.splice(..0, *GARBAGE).for_each(drop),
            Fate::HoldBack => {
                self.held_back.hold(bytes);
                return None;
            }
            Fate::Pass => {}
            Fate::Replace(payload) => {
                let mut written = Vec::new();
                // Writing to memory fails only for names that are no XML; then nothing is sent.
                if replaced(*element, payload).write_to(&mut written).is_ok() {
                    bytes = written;
                }
            }
        }
        self.pass(bytes, delay).await;
        if is_stanza {
            for bytes in self.held_back.release() {
                self.pass(bytes, Duration::ZERO).await;
            }
            for stanza in self.shared.take_interjections(self.heading) {
                let mut written = Vec::new();
                // Likewise.
                if stanza.write_to(&mut written).is_ok() {
                    self.pass(written, Duration::ZERO).await;
                }
            }
        }
        ending
    }

    async fn pass(&self, bytes: Vec<u8>, delay: Duration) {
        let delay = match self.shared.conduct.borrow().flow(self.heading) {
            Flow::Delayed(time) => time + delay,
            Flow::Free | Flow::Stalled | Flow::Throttled(_) => delay,
        };
        let due = Instant::now() + delay;
        // Whoever should write it has failed, and says so.
        let _ = self.queue.send(Parcel { due, bytes }).await;
    }
}

/// Writes what is due, as fast as it may flow.
async fn write(
    mut conduct: watch::Receiver<Conduct>,
    heading: Heading,
    mut queue: mpsc::Receiver<Parcel>,
    writer: &mut WriteHalf<'_>,
) -> Result<(), Ending> {
    while let Some(Parcel { due, bytes }) = queue.recv().await {
        sleep_until(due).await;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let moving = conduct.wait_for(|conduct| conduct.flow(heading) != Flow::Stalled);
            let flow = match moving.await {
                Ok(conduct) => conduct.flow(heading),
                Err(_) => return Err(Ending::Fin),
            };
            let (length, pause) = match flow {
                Flow::Throttled(rate) => (slice(rate), TICK),
                Flow::Delayed(_) | Flow::Free | Flow::Stalled => (rest.len(), Duration::ZERO),
            };
            let (now, later) = rest.split_at(length.min(rest.len()));
            writer.write_all(now).await.map_err(|_| Ending::Reset)?;
            rest = later;
            if !pause.is_zero() {
                sleep(pause).await;
            }
        }
    }
    Ok(())
}

/// How much of `rate` bytes a second is written per [`TICK`].
fn slice(rate: usize) -> usize {
    (rate / TICKS).max(1)
}

/// What is read at a time.
const CHUNK: usize = 16 * 1024;

/// Parts under way at a time: a delay must not become a limit to what flows.
const QUEUE: usize = 64;

/// No stream has this before a stanza.
const GARBAGE: &[u8; 3] = b"<&>";

const TICKS: usize = 20;

const TICK: Duration = Duration::from_millis(1000 / TICKS as u64);
