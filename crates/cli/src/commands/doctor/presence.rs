//! Whether two programs of the account see each other, as contacts have to.

use std::time::Duration;

use tokio::time::{Instant, interval};
use tubes::session::Abilities;

use super::{Client, Finding};

/// Waits until both see the other online, and know that it does tubes.
pub(super) async fn mutual(one: &Client, other: &Client) -> Finding {
    let begun = Instant::now();
    let mut look = interval(LOOK);
    while begun.elapsed() < PATIENCE {
        look.tick().await;
        if sees(one, other).await && sees(other, one).await {
            return Finding::Fine("two programs of the account see each other".to_owned());
        }
    }
    Finding::Bad(format!(
        "two programs of the account did not see each other within {} s",
        PATIENCE.as_secs()
    ))
}

async fn sees(one: &Client, other: &Client) -> bool {
    let Ok(contact) = one.tubes.contact(&one.account).await else {
        return false;
    };
    contact.resources.iter().any(|resource| {
        let does_tubes = |abilities: &Abilities| abilities.tubes;
        resource.jid == other.jid && resource.abilities.as_ref().is_some_and(does_tubes)
    })
}

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// One server tells its own clients of each other at once, unless it is in trouble, or has just been
/// started on a busy machine. Below the time for a check, so that the finding is this one.
const PATIENCE: Duration = Duration::from_secs(45);
