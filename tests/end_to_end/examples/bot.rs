//! The chat bot.

use tokio::task::JoinHandle;
use tubes::{Heard, Jid, SharedSession};
use tubes_server::Server;
use tubes_transport::xmpp_parsers::message::{Lang, Message};
use tubes_transport::{Patience, Question};
use xmpp_parsers::minidom::Element;

use crate::api::accepted;
use crate::stage::{Family, Person, Service, Serving, echo, exchange, pair, patiently};

// The example as it is, so that it cannot promise what does not work.
#[allow(dead_code, reason = "a test has a `main` of its own")]
#[path = "../../../examples/bot.rs"]
mod example;

crate::on_each_server!(
    a_friend_is_greeted_and_given_a_tube_when_it_asks,
    a_stranger_gets_neither_an_answer_nor_a_tube,
);

async fn a_friend_is_greeted_and_given_a_tube_when_it_asks(server: &Server) {
    let (mut alice, mut fernand) = pair(server).await;
    let bot = Running::at(&mut alice, &fernand).await;
    let mut session = fernand.tubes.share_session().await.unwrap();

    let hello = format!("Hello, {}! Say \"share\", and you get a tube.", fernand.jid);
    assert_eq!(bot.answer(&mut session, "Hello").await, hello);
    let given = bot.answer(&mut session, "share").await;
    assert_eq!(given, "With pleasure: accept x-example.");
    let address = accepted(&mut fernand).await;
    patiently("the service answers", exchange(&address))
        .await
        .unwrap();
    // Both are on one login, and neither is in the other's way.
    assert_eq!(bot.answer(&mut session, "hello").await, hello);
    let again = bot.answer(&mut session, "share").await;
    assert_eq!(again, "You have it already: accept x-example.");
    assert_eq!(alice.tubes.state().tubes.len(), 1);

    bot.end();
    fernand.leave().await;
    alice.leave().await;
}

async fn a_stranger_gets_neither_an_answer_nor_a_tube(server: &Server) {
    let (mut alice, fernand) = pair(server).await;
    let bot = Running::at(&mut alice, &fernand).await;
    let carol = Person::on(server, "carol").await;
    let mut session = carol.tubes.share_session().await.unwrap();
    for said in ["hello", "share"] {
        bot.hear(&session, said).await;
    }
    // The bot hears one thing after the other: it is through with the messages when it refuses this.
    let question = Element::bare("riddle", "urn:example:riddles");
    let asking = session.stanzas().ask(
        Some(bot.jid.clone()),
        Question::Get,
        question,
        Patience::default(),
    );
    let refused = patiently("it is refused", async { asking.await.unwrap().await }).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(alice.tubes.state().tubes.is_empty());
    // What it would have said came before the refusal.
    carol.tubes.clone().leave().await;
    while let Some(heard) = patiently("it ends", session.next()).await {
        if let Heard::Message(message) = heard {
            assert!(message.from != Some(bot.jid.clone()), "{message:?}");
        }
    }
    bot.end();
    carol.leave().await;
    fernand.leave().await;
    alice.leave().await;
}

/// The bot of Alice's, with an echo for a friend.
struct Running {
    jid: Jid,
    task: JoinHandle<()>,
    _echo: Serving,
}

impl Running {
    async fn at(alice: &mut Person, friend: &Person) -> Self {
        let echo = Service::listen(Family::Tcp).await.unwrap().serve(echo);
        let mut session = alice.tubes.share_session().await.unwrap();
        let bot = example::Bot {
            tubes: alice.tubes.clone(),
            service: echo.address.clone(),
            friends: [friend.jid.clone()].into(),
        };
        let task = tokio::spawn(async move { bot.serve(&mut session).await.unwrap() });
        Self {
            jid: alice.online().await.into(),
            task,
            _echo: echo,
        }
    }

    /// Says something to it.
    async fn hear(&self, session: &SharedSession, said: &str) {
        let message = Message::chat(self.jid.clone()).with_body(Lang::default(), said.to_owned());
        session.send_message(message).await.unwrap();
    }

    /// Says something to it; what it answers.
    async fn answer(&self, session: &mut SharedSession, said: &str) -> String {
        self.hear(session, said).await;
        loop {
            let heard = patiently("it answers", session.next()).await.unwrap();
            if let Heard::Message(message) = heard
                && message.from.as_ref() == Some(&self.jid)
            {
                return message.bodies.into_values().next().unwrap();
            }
        }
    }

    fn end(self) {
        self.task.abort();
    }
}
