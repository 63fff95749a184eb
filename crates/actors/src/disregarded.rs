//! What others say, and nobody heeds.

use std::fmt;

use tubes_session::Ignored;

/// What somebody said or asked for that nothing followed from: it was passed over, or refused.
///
/// Not all of it is meant to do harm: `Message`, `Presence` and `Subscription` are everyday, and an `Initiation` may cross
/// the end of the tube, or come of somebody who has not noticed it. What does not stop is.
///
/// ```
/// use tubes_actors::{Disregarded, Event};
///
/// /// Whether it may be somebody who does not mean it.
/// fn is_everyday(what: Disregarded) -> bool {
///     use Disregarded::{Message, Presence, Subscription};
///     matches!(what, Message | Presence | Subscription)
/// }
///
/// /// What a log says of it.
/// fn line(event: &Event) -> Option<String> {
///     match event {
///         Event::Disregarded { what, peer } if !is_everyday(*what) => Some(format!("{peer}: {what}")),
///         _ => None,
///     }
/// }
///
/// let (what, peer) = (Disregarded::Offer, "fernand@example.org".parse()?);
/// let told = line(&Event::Disregarded { what, peer });
/// assert_eq!(told.as_deref(), Some("fernand@example.org: an offer of a tube"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Disregarded {
    /// Announcements that it can do something else, one after the other, without an answer to the question what.
    Announcement,
    /// An answer of somebody who was not asked, has answered already, or was asked so long ago that this is
    /// forgotten. An error only where somebody else was asked: servers bounce in others' names.
    Answer,
    /// What it can do is not what it announced: it is believed for nobody else (XEP-0115 §5.4).
    Capabilities,
    /// An offer of a file, where files are received: of a stranger or an occupant, or one that makes no sense.
    File,
    /// A bytestream to a tube that it was not offered, has declined, or that is gone.
    Initiation,
    /// A message for people. This one, `Presence` and `Subscription` come only where the application does not
    /// [share](crate::SharedSession) the session, and so hears them itself.
    Message,
    /// An offer of a tube: of a stranger, in a room otherwise than by presence, or one that makes no sense or says
    /// more than an offer may.
    Offer,
    /// The presence of a stranger.
    Presence,
    /// A change of the contact list, which is the server's to tell (RFC 6121 §2.1.6).
    Roster,
    /// Something about a bytestream that it has no part in, or that was over long before.
    Stream,
    /// A request to see when this account is online. Servers repeat it with each login until it is answered.
    Subscription,
}

impl Disregarded {
    /// What a session ignored.
    pub(crate) fn of_session(ignored: Ignored) -> Option<Self> {
        Some(match ignored {
            Ignored::Announcement => Self::Announcement,
            Ignored::Answer => Self::Answer,
            Ignored::Capabilities => Self::Capabilities,
            Ignored::Message => Self::Message,
            Ignored::Presence => Self::Presence,
            Ignored::Roster => Self::Roster,
            Ignored::Subscription => Self::Subscription,
            _ => return None,
        })
    }
}

impl fmt::Display for Disregarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Announcement => "announcements without an answer what they mean",
            Self::Answer => "an answer to no question",
            Self::Capabilities => "capabilities that are not what was announced",
            Self::File => "an offer of a file",
            Self::Initiation => "a connection to a tube that is not offered there",
            Self::Message => "a message",
            Self::Offer => "an offer of a tube",
            Self::Presence => "a stranger's presence",
            Self::Roster => "a change of the contact list",
            Self::Stream => "something about a bytestream that is not there",
            Self::Subscription => "a request to see when this account is online",
        })
    }
}
