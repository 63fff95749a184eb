//! The fuzzer's targets within this crate, each beside what it is for.
//!
//! They see what nobody outside does, so that nothing has to be shown for their sake but a
//! function of bytes. Each panics where something is wrong.

pub use crate::dns::fuzzing::dns;
pub use crate::filter::fuzzing::filter;
pub use crate::handshake::fuzzing::login;
pub use crate::router::fuzzing::router;
pub use crate::sasl::fuzzing::{features, scram};
