//! Which tubes are wanted is for the application to say, in its own time.

use tokio::sync::{mpsc, oneshot};
use tubes::transport::async_trait;
use tubes::{Access, Answer, ClientEvent, ConnectError, FailureKind, Invitation, Offer, Policy};
use tubes_server::Server;

use super::joining::{accepted, added, chat, closed, offer};
use super::{Heard, SERVICE, password};
use crate::stage::{Family, pair, patiently};

crate::on_each_server!(
    a_tube_that_is_not_wanted_is_declined_with_a_reason,
    a_tube_waits_until_it_is_decided_and_others_meanwhile_do_not,
    the_answer_may_say_where_programs_connect,
    a_tube_that_is_withdrawn_is_not_decided_any_more,
    a_policy_that_panics_declines_the_tube_and_is_asked_again_for_the_next,
);

async fn a_tube_that_is_not_wanted_is_declined_with_a_reason(server: &Server) {
    let (mut alice, fernand) = pair(server).await;
    let client = chat()
        .with_policy(|invitation: Invitation| async move {
            let reason = format!("{} again", invitation.offerer.to_bare());
            Answer::Decline { reason }
        })
        .build();
    let mut heard = Heard::by(client.watch().1);
    added(&client, &fernand).await;
    offer(&alice, &fernand, SERVICE).await;
    let declined = heard.event(|event| match event {
        ClientEvent::TubeDeclined { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(declined.await, format!("{} again", alice.jid));
    assert_eq!(closed(&mut heard).await.1, None);
    assert_eq!(
        alice.tube_closed().await.unwrap().kind,
        FailureKind::Declined
    );
    fernand.leave().await;
    alice.leave().await;
}

async fn a_tube_waits_until_it_is_decided_and_others_meanwhile_do_not(server: &Server) {
    let (alice, fernand) = pair(server).await;
    let (person, mut asked) = Asked::person();
    let client = chat().with_policy(person).build();
    let mut heard = Heard::by(client.watch().1);
    added(&client, &fernand).await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        offer(&alice, &fernand, SERVICE).await;
        answers.push(patiently("it is asked", asked.recv()).await.unwrap());
    }
    let (second, answer) = answers.pop().unwrap();
    answer.send(Answer::Accept).unwrap();
    assert_eq!(accepted(&mut heard).await.id, second.tube.id);
    let (first, answer) = answers.pop().unwrap();
    let early = client.connect(first.tube.id).await;
    assert!(matches!(early, Err(ConnectError::Undecided)), "{early:?}");
    answer.send(Answer::Accept).unwrap();
    assert_eq!(accepted(&mut heard).await.id, first.tube.id);
    fernand.leave().await;
    alice.leave().await;
}

async fn the_answer_may_say_where_programs_connect(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chosen");
    let address = tubes::Address::unix(&path).unwrap();
    let (alice, fernand) = pair(server).await;
    let (person, mut asked) = Asked::person();
    let client = chat().with_policy(person).build();
    let mut heard = Heard::by(client.watch().1);
    added(&client, &fernand).await;
    offer(&alice, &fernand, SERVICE).await;
    let (_, answer) = patiently("it is asked", asked.recv()).await.unwrap();
    let access = Access::Credentials;
    answer
        .send(Answer::AcceptAt {
            address: address.clone(),
            access,
        })
        .unwrap();
    assert_eq!(accepted(&mut heard).await.address, Some(address));
    assert!(path.exists());
    fernand.leave().await;
    alice.leave().await;
}

async fn a_tube_that_is_withdrawn_is_not_decided_any_more(server: &Server) {
    let (alice, fernand) = pair(server).await;
    let (person, mut asked) = Asked::person();
    let client = chat().with_policy(person).build();
    let mut heard = Heard::by(client.watch().1);
    added(&client, &fernand).await;
    let tube = offer(&alice, &fernand, SERVICE).await;
    let (_, mut answer) = patiently("it is asked", asked.recv()).await.unwrap();
    patiently("it is withdrawn", alice.tubes.close(tube)).await;
    patiently("nobody waits for an answer", answer.closed()).await;
    assert_eq!(closed(&mut heard).await.1, Some(FailureKind::Closed));
    fernand.leave().await;
    alice.leave().await;
}

async fn a_policy_that_panics_declines_the_tube_and_is_asked_again_for_the_next(server: &Server) {
    let (mut alice, fernand) = pair(server).await;
    let client = chat()
        .with_policy(|invitation: Invitation| async move {
            assert!(!invitation.parameters.is_empty(), "as the test wants it");
            Answer::Accept
        })
        .build();
    let mut heard = Heard::by(client.watch().1);
    added(&client, &fernand).await;
    offer(&alice, &fernand, SERVICE).await;
    let told = alice.tube_closed().await.unwrap();
    assert_eq!(told.kind, FailureKind::Declined);
    let nowhere = Family::Abstract.place().address;
    let next = Offer::new(fernand.jid.clone(), SERVICE, nowhere);
    let next = next.with_parameters(password("secret"));
    alice.tubes.offer(next).await.unwrap();
    accepted(&mut heard).await;
    fernand.leave().await;
    alice.leave().await;
}

/// A policy that asks somebody.
struct Asked(mpsc::Sender<Question>);

type Question = (Invitation, oneshot::Sender<Answer>);

impl Asked {
    fn person() -> (Self, mpsc::Receiver<Question>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), receiver)
    }
}

#[async_trait]
impl Policy for Asked {
    async fn decide(&self, invitation: &Invitation) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.0.send((invitation.clone(), answer)).await.unwrap();
        answered.await.unwrap()
    }
}
