//! What others may know of a contact.

use std::collections::BTreeSet;

use tubes_protocol::disco::Abilities;
use xmpp_parsers::jid::FullJid;

/// What is known of a contact.
///
/// ```
/// use tubes_session::{Contact, Sight};
///
/// /// What a list of contacts says of this one.
/// fn status(contact: &Contact) -> &'static str {
///     let does_tubes = |resource: &tubes_session::Resource| {
///         resource.abilities.as_ref().is_some_and(|abilities| abilities.tubes)
///     };
///     match contact.sight {
///         Sight::Hidden => "has not allowed to be seen",
///         Sight::Visible if contact.resources.iter().any(does_tubes) => "can be offered tubes",
///         Sight::Visible => "is not online with a program that does tubes",
///     }
/// }
/// # let _ = status;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contact {
    /// Whether its presence is visible.
    pub sight: Sight,
    /// The groups of the roster that it is in.
    pub groups: BTreeSet<String>,
    /// Its resources that are online, in the order of their names. At most 32 are followed.
    pub resources: Vec<Resource>,
}

/// Whether a contact lets this account see its presence (RFC 6121 §2.1.2.5).
///
/// See [`Contact`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It does not, or not yet: nobody can tell whether it is online.
    Hidden,
    /// It does.
    Visible,
}

/// A contact's resource that is online.
///
/// See [`Contact`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resource {
    /// Its address.
    pub jid: FullJid,
    /// What it can do; none while it has not said so.
    pub abilities: Option<Abilities>,
}
