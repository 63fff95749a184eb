//! The actors: who owns whom, and for how long.
//!
//! ```text
//!   Account ──orders──► SessionActor ──────┬──► NegotiatorActor
//!                          │  one account  │      whom to negotiate with, and how
//!                          ▼               │
//!                      TubeActor ◄─────────┘
//!                       │  one tube
//!             ┌─────────┴──────────┐
//!             ▼                    ▼
//!   Listening/ExportedEndpoint   BytestreamActor
//!      the local socket            one program's connection
//! ```
//!
//! Actors decide; they live on one control thread per account and pass commands, facts and
//! sockets. Bytes never travel in messages: negotiating, dialling and copying run in tasks on
//! the embedder's runtime. A child's end is told to its parent by an `Obituary`, whatever
//! it was that ended it; nothing restarts itself.
//!
//! - [`Account`]: the handle by which an application gives orders (`account.rs`)
//! - [`Event`]: what it learns (`event.rs`), how (`announcer.rs`), and what that amounts to
//!   ([`State`], `state/`)
//! - `session/`, `negotiator.rs`, `room/`, `tube/`, `endpoint.rs`, `bytestream/`: the actors
//! - [`Limits`]: how much of everything (`limits.rs`); `seats.rs`: the places for connections;
//!   [`Disregarded`]: what nothing follows from; `notices.rs`: that the application is told of both, and not
//!   again and again
//! - `control.rs`: the thread; `env.rs`: what surrounds every actor

mod account;
mod announcer;
mod bytestream;
mod complaints;
mod control;
mod disregarded;
mod endpoint;
mod env;
mod event;
mod failure;
mod file;
mod limits;
mod negotiator;
mod notices;
mod obituary;
mod opening;
mod room;
mod seats;
mod session;
pub mod state;
mod traffic;
mod tube;

pub use self::account::{Account, OfferError, Start, StartError};
pub use self::announcer::Events;
pub use self::disregarded::Disregarded;
pub use self::event::{Audience, Decision, Direction, Event, Failure, FailureKind, Remedy, TubeId};
pub use self::file::{AcceptFileError, Delivered, FileId, Particulars, Progress};
pub use self::limits::{Limit, Limits};
pub use self::session::{EnterError, Heard, SendFileError, ShareError, SharedSession};
pub use self::state::State;
pub use self::traffic::Traffic;
pub use self::tube::AcceptError;
pub use tubes_courier::Certainty;
pub use tubes_session::Subscribe;
