//! Questions that nobody has answered yet.

use tubes::{Heard, Limit, SharedSession};
use tubes_server::ServerKind;
use tubes_transport::{Ask, AskError};
use xmpp_parsers::stanza_error::DefinedCondition;

use super::Scene;
use crate::stage::{Gabble, on, patiently};

/// An application that thinks about each of them, and a contact that asks faster than it thinks.
#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_is_owed_too_many_answers_is_refused_the_next_until_it_has_some() {
    on(ServerKind::Embedded, |server| async move {
        let mut scene = Scene::set(server).await;
        let alice = scene.alice();
        let at_alice = alice.online().await;
        let mut session = alice.tubes.share_session().await.unwrap();
        let carol = Gabble::on(server, "carol").await;
        let mut asked = Vec::new();
        let mut owed = Vec::new();
        while owed.len() < OWED {
            // No more than the application's queue takes at once.
            for _ in 0..BATCH {
                asked.push(carol.ask(&at_alice, RIDDLE).await);
            }
            while owed.len() < asked.len() {
                owed.push(question(&mut session).await);
            }
        }
        let refused = carol.ask(&at_alice, RIDDLE).await;
        let Err(AskError::Refused(why)) = patiently("it is refused", refused).await else {
            panic!("one more is taken");
        };
        assert_eq!(why.defined_condition, DefinedCondition::ResourceConstraint);
        scene.exceeded(Limit::Answers, carol.jid.clone()).await;

        for ask in owed {
            ask.grant(None);
        }
        let answered = carol.ask(&at_alice, RIDDLE).await;
        question(&mut session).await.grant(None);
        patiently("it is answered", answered).await.unwrap();
        scene.leave().await;
    })
    .await;
}

async fn question(session: &mut SharedSession) -> Ask {
    loop {
        let next = patiently("something is asked", session.next());
        if let Some(Heard::Ask(ask)) = next.await {
            return ask;
        }
    }
}

/// What the tubes have no answer to.
const RIDDLE: &str = "<riddle xmlns='urn:example:riddles'/>";

/// Answers that one contact may be owed.
const OWED: usize = 8192;

/// Questions that are asked at a time.
const BATCH: usize = 256;
