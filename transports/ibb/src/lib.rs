//! In-Band Bytestreams (XEP-0047): bytes in stanzas, through any server.
//!
//! ```text
//!   Ibb ─► Attempt ─► Stream ◄── Shared ──► driver ◄──► Wire
//!          <open/>    the face   Machine    a task      <data/>, <close/>
//! ```
//!
//! - [`Ibb`]: the transport (this file)
//! - the negotiation of `<open/>` (`attempt.rs`)
//! - the face, which programs read and write (`stream.rs`)
//! - the task that owns the wire (`driver.rs`)
//! - [`Machine`]: what is said when (`machine/`), with its two halves (`inbound.rs`,
//!   `outbound.rs`), the window (`window.rs`) and the closes (`farewell.rs`)
//! - [`Speech`]: what is said, and how it is read (`element.rs`)
//! - [`Fault`]: why a stream broke (`fault.rs`)

mod attempt;
mod driver;
mod element;
mod farewell;
mod fault;
mod inbound;
mod machine;
mod outbound;
mod stream;
mod window;

pub use self::element::Speech;
pub use self::fault::Fault;
pub use self::inbound::Reading;
pub use self::machine::{Due, Machine, Ticket};

use async_trait::async_trait;
use tubes_transport::{Attempt, ConnectError, Plan, Transport};

/// In-Band Bytestreams.
///
/// ```
/// use tubes_ibb::Ibb;
/// use tubes_transport::Transport;
///
/// // For a server that takes no large stanzas.
/// let ibb = Ibb::new().with_block_size(2048).with_window(4);
/// assert_eq!(ibb.namespace(), "http://jabber.org/protocol/ibb");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Ibb {
    block_size: u16,
    largest_block: u16,
    window: usize,
}

impl Ibb {
    /// Blocks and a window that suit servers as they are found.
    pub fn new() -> Self {
        Self {
            block_size: BLOCK_SIZE,
            largest_block: u16::MAX,
            window: WINDOW,
        }
    }

    /// Offers blocks of this many bytes; at least 1.
    pub fn with_block_size(self, block_size: u16) -> Self {
        let block_size = block_size.max(1);
        Self { block_size, ..self }
    }

    /// Accepts offers of blocks up to this many bytes; at least 1.
    pub fn with_largest_block(self, largest_block: u16) -> Self {
        let largest_block = largest_block.max(1);
        Self {
            largest_block,
            ..self
        }
    }

    /// Keeps at most this many blocks under way unacknowledged; at least 1.
    pub fn with_window(self, window: usize) -> Self {
        let window = window.max(1);
        Self { window, ..self }
    }
}

impl Default for Ibb {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Transport for Ibb {
    fn namespace(&self) -> &'static str {
        element::NS
    }

    async fn prepare(&self, plan: Plan) -> Result<Box<dyn Attempt>, ConnectError> {
        Ok(Box::new(attempt::Attempt::new(*self, plan)))
    }
}

/// Bytes in a block. In base64, between tags and addresses of usual length, such a block is a
/// stanza of no more than 8192 bytes: Prosody 0.12 reads that much at a time and pauses for 1 ms
/// whenever more is waiting, which costs two thirds of its throughput.
const BLOCK_SIZE: u16 = 5888;

/// Blocks under way. Enough for 94 KiB per round trip, and few enough that a bytestream does not
/// fill the session's queues for others.
const WINDOW: usize = 16;
