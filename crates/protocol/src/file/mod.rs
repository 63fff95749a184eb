//! Files (XEP-0096): offering one, taking it or a part of it, and the last word on it.
//!
//! ```text
//!   sender                                        receiver
//!      │ ── <si> <file name size/>, contents ───────► │
//!      │ ◄── <si> <file><range offset/></file> ────── │   or an error, which says why not
//!      │ ══ the bytes from there on, and their sum ═► │   the sum between our own kind
//!      │ ◄═════════════════ received ════════════════ │   so, too
//! ```
//!
//! - [`FileOffer`], [`FileAnswer`]: what XEP-0096 has (`element.rs`)
//! - [`Contents`]: what this project adds to an offer (`contents.rs`)
//! - [`Sum`], [`Verdict`]: the last words on the bytestream (`verdict.rs`); [`Reason`] in an answer
//!   (`refusal.rs`), and [`Withdrawal`] (`withdrawal.rs`), where there is none

mod contents;
mod date;
mod element;
mod error;
mod refusal;
mod verdict;
mod withdrawal;

pub use self::contents::{Contents, Sha256};
pub use self::date::Date;
pub use self::element::{FileAnswer, FileOffer, Md5, Range};
pub use self::error::FileError;
pub use self::verdict::{LINE, Reason, Sum, Verdict};
pub use self::withdrawal::Withdrawal;
