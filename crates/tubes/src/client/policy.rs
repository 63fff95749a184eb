//! Which tubes are wanted.

use tubes_local::{Access, Address};
use tubes_transport::async_trait;

use super::Invitation;

/// Says of each tube whether it is wanted.
///
/// Functions that return such a future are policies, too:
///
/// ```
/// use tubes::{Answer, Invitation, StreamTubeClient};
///
/// let policy = |invitation: Invitation| async move {
///     match invitation.parameters.get("game") {
///         Some(_) => Answer::Accept,
///         None => Answer::Decline { reason: "it says not which game".to_owned() },
///     }
/// };
/// let client = StreamTubeClient::builder()
///     .services_for_contacts(["x-chess"])
///     .with_policy(policy)
///     .build();
/// assert!(client.tubes().is_empty());
/// ```
#[async_trait]
pub trait Policy: Send + Sync + 'static {
    /// Whether this tube is wanted. May take as long as people take to answer; the future is dropped
    /// if the tube is closed meanwhile. If it panics, the tube is declined.
    async fn decide(&self, invitation: &Invitation) -> Answer;
}

#[async_trait]
impl<F, R> Policy for F
where
    F: Fn(Invitation) -> R + Send + Sync + 'static,
    R: Future<Output = Answer> + Send,
{
    async fn decide(&self, invitation: &Invitation) -> Answer {
        self(invitation.clone()).await
    }
}

/// Whether a tube is wanted.
///
/// See [`Policy`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It is, in the way that the client accepts tubes.
    Accept,
    /// It is, and programs connect here.
    AcceptAt {
        /// Where to listen.
        address: Address,
        /// Which programs may connect.
        access: Access,
    },
    /// It is not.
    Decline {
        /// Why, for this side's eyes: there is no place for it in what the offerer is told.
        reason: String,
    },
}

/// Every tube is wanted that the services and the rules let through.
#[derive(Debug)]
pub(super) struct Everything;

#[async_trait]
impl Policy for Everything {
    async fn decide(&self, _: &Invitation) -> Answer {
        Answer::Accept
    }
}
