//! How much of everything.

use std::time::Duration;

/// Negotiations pending at a time with one contact.
pub(crate) const NEGOTIATIONS_PER_CONTACT: usize = 64;

/// Negotiations pending at a time in all.
pub(crate) const NEGOTIATIONS: usize = 1024;

/// Connections of one tube at a time. Programs beyond wait in the listener's backlog; peers
/// beyond are told to wait.
pub(crate) const CONNECTIONS_PER_TUBE: usize = 1024;

/// Offers of one contact that may be pending at a time.
pub(crate) const INVITATIONS_PER_CONTACT: usize = 64;

/// Tubes of an account at a time.
pub(crate) const TUBES: usize = 1024;

/// Time for connections to finish what they were given when their tube closes.
pub(crate) const WIND_DOWN: Duration = Duration::from_secs(4);
