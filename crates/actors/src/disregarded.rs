//! What others say, and nobody heeds.

use std::fmt;

use tubes_session::Ignored;

/// What somebody said or asked for that nothing followed from: it was passed over, or refused.
///
/// One of these now and then is no harm: an answer may come too late, data may cross the end of its
/// bytestream. Many are somebody's attempt to do harm, or its mistake.
///
/// ```
/// use tubes_actors::{Disregarded, Event};
///
/// /// Whether somebody tries what it has no business with.
/// fn is_meddling(event: &Event) -> bool {
///     matches!(event, Event::Disregarded { what: Disregarded::Stream | Disregarded::Answer, .. })
/// }
///
/// let peer = "fernand@example.org".parse()?;
/// assert!(!is_meddling(&Event::Disregarded { what: Disregarded::Message, peer }));
/// assert_eq!(Disregarded::Offer.to_string(), "an offer of a tube");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Disregarded {
    /// Announcements that it can do something else, one after the other, without an answer to the question what.
    Announcement,
    /// An answer that nobody waits for: it was not asked, or too long ago.
    Answer,
    /// What it can do is not what it announced: it is believed for nobody else (XEP-0115 §5.4).
    Capabilities,
    /// An offer of a file, of a stranger, or that makes no sense.
    File,
    /// A bytestream to a tube that it was not offered.
    Initiation,
    /// A message for people, where the application does not share the session.
    Message,
    /// An offer of a tube: of a stranger, in a room otherwise than by presence, or one that makes no sense.
    Offer,
    /// The presence of a stranger.
    Presence,
    /// Something about a bytestream that it has no part in, or that is over.
    Stream,
    /// A request to see when this account is online.
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
            Ignored::Subscription => Self::Subscription,
            _ => return None,
        })
    }
}

impl fmt::Display for Disregarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Announcement => "announcements without an answer what they mean",
            Self::Answer => "an answer that nobody waits for",
            Self::Capabilities => "capabilities that are not what was announced",
            Self::File => "an offer of a file",
            Self::Initiation => "a connection to a tube that is not offered there",
            Self::Message => "a message",
            Self::Offer => "an offer of a tube",
            Self::Presence => "a stranger's presence",
            Self::Stream => "something about a bytestream that is not there",
            Self::Subscription => "a request to see when this account is online",
        })
    }
}
