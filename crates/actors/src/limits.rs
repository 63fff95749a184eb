//! How much of everything.

use std::time::Duration;

/// Negotiations pending at a time that we asked one contact for. They are counted apart from those
/// that it asked for: otherwise a contact could keep us from asking.
pub(crate) const ASKED_PER_CONTACT: usize = 64;

/// Negotiations pending at a time that one contact asked for. More than we ask for: through a
/// proxy the side that asked is done first, and asks for the next before this side is done, too.
pub(crate) const ANSWERED_PER_CONTACT: usize = 256;

/// Negotiations pending at a time that we asked for, in all.
pub(crate) const ASKED: usize = 1024;

/// Negotiations pending at a time that others asked for, in all.
pub(crate) const ANSWERED: usize = 4096;

/// Connections of one tube at a time. Programs beyond wait in the listener's backlog; peers
/// beyond are told to wait.
pub(crate) const CONNECTIONS_PER_TUBE: usize = 1024;

/// Tubes that one contact may have offered at a time.
pub(crate) const INVITATIONS_PER_CONTACT: usize = 64;

/// Tubes that all contacts together may have offered at a time.
pub(crate) const INVITATIONS: usize = 1024;

/// Tubes that are offered to an account in all of its rooms at a time.
pub(crate) const INVITATIONS_IN_ROOMS: usize = 1024;

/// Rooms that an account is in at a time.
pub(crate) const ROOMS: usize = 64;

/// Tubes that an account offers at a time. Counted apart, so that contacts cannot use them up.
pub(crate) const OFFERS: usize = 1024;

/// Time for connections to finish what they were given when their tube closes.
pub(crate) const WIND_DOWN: Duration = Duration::from_secs(10);

/// The same when the account leaves.
pub(crate) const WIND_DOWN_LEAVING: Duration = Duration::from_millis(2500);

/// Time for all tubes to close when the account leaves; logging out takes up to one and a half
/// seconds more, and five is what an interrupted program has.
pub(crate) const LEAVE: Duration = Duration::from_millis(3600);
