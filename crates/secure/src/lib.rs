//! End-to-end encryption of bytestreams.
//!
//! ```text
//!   splice ── Sealed ── TLS 1.3 ── Bytestream of any transport
//!               │          │
//!               │          └── the two devices' keys, and nothing else: no names, no authorities
//!               └── token of the negotiation, ends of each direction
//!
//!   Guard ──► Encryption: what this account wants     TrustStore ──► Contacts: which keys are whose
//! ```
//!
//! Both sides say their keys when they negotiate, within `<kind/>`. The [`Guard`] decides what that
//! means; [`seal`] encrypts the bytestream that comes out. Transports know nothing of it.
//!
//! - [`Guard`], [`Terms`], [`Protection`]: what is decided on each bytestream (`guard.rs`), and why not
//!   ([`Distrust`], `distrust.rs`)
//! - [`Whom`]: a contact, or somebody in a room; [`Visits`]: whom one has met there (`whom.rs`)
//! - [`Encryption`]: the policy (`policy.rs`)
//! - [`Identity`], [`PublicKey`]: a device's key (`key.rs`); `element.rs`: how it is said
//! - [`publication`]: the list of an account's devices that its server shows to contacts
//! - `trust/`: whose keys are trusted, and where that is kept
//! - [`seal`]: the handshake (`handshake.rs`); [`Binding`]: what ties it to the negotiation
//!   (`binding.rs`); `stream.rs`: what comes out
//!
//! The threat model, with the test for each row, stands in `docs/security.md`.

mod binding;
mod distrust;
mod element;
mod error;
mod guard;
mod handshake;
mod key;
mod policy;
pub mod publication;
mod stream;
mod trust;
mod whom;

pub use self::binding::Binding;
pub use self::distrust::Distrust;
pub use self::element::{BadSecure, ability, key_of};
pub use self::error::{SecureError, is_untrusted};
pub use self::guard::{Guard, Protection, Terms};
pub use self::handshake::seal;
pub use self::key::{BadKey, Fingerprint, Identity, IdentityError, PublicKey};
pub use self::policy::{Encryption, UnknownEncryption};
pub use self::trust::{
    Contacts, Device, FileError, Judgement, Standing, StoreError, TrustStore, UnknownDevice,
    safety_number,
};
pub use self::whom::{Occupant, Visits, Whom};
