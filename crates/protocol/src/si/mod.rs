//! Stream Initiation (XEP-0095) with the fallback of telepathy-gabble's `si-multiple`.
//!
//! ```text
//!   requester                                       responder
//!      │ ── <si id profile> methods, purpose ─────────► │
//!      │ ◄── <si> methods, in the order to try ──────── │
//!      │ ── first stanza of method 1 ─────────────────► │
//!      │ ◄── error ──────────────────────────────────── │
//!      │ ── first stanza of method 2, same sid ───────► │
//! ```

mod element;
mod error;
mod requester;
mod responder;

pub use self::element::{SiAnswer, SiRequest};
pub use self::error::SiError;
pub use self::requester::{Requester, RequesterAction};
pub use self::responder::{Responder, ResponderAction};
