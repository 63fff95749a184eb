//! A chat bot with a tube for its friends: answers what they say, and shares a service with who asks
//! for it, all on one login.
//!
//! `cargo run --example bot -- alice@example.org 127.0.0.1:8000 fernand@example.net`,
//! with the password in the environment variable `PASSWORD`. Friends say `hello`
//! or `share` with any chat client, and accept the tube with `tubes accept`.

use std::collections::BTreeSet;
use std::env;
use std::error::Error;

use tubes::transport::Gone;
use tubes::transport::xmpp_parsers::message::{Lang, Message, MessageType};
use tubes::{Account, Address, Audience, BareJid, Direction, Heard, Offer, SharedSession, Tubes};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(jid), Some(service)) = (args.next(), args.next()) else {
        return Err("usage: bot ACCOUNT ADDRESS FRIEND…".into());
    };
    let account = Account::new(jid.parse()?, env::var("PASSWORD")?)?;
    let friends = args.map(|friend| friend.parse());
    let friends: BTreeSet<BareJid> = friends.collect::<Result<_, _>>()?;

    let (tubes, _) = Tubes::builder(account).start().await?;
    let mut session = tubes.share_session().await?;
    for friend in &friends {
        tubes.befriend(friend).await;
    }
    let bot = Bot {
        tubes: tubes.clone(),
        service: service.parse()?,
        friends,
    };
    tokio::select! {
        ended = bot.serve(&mut session) => ended?,
        _ = tokio::signal::ctrl_c() => {}
    }
    tubes.leave().await;
    Ok(())
}

/// Who answers, and what it shares with whom.
pub(crate) struct Bot {
    pub(crate) tubes: Tubes,
    pub(crate) service: Address,
    pub(crate) friends: BTreeSet<BareJid>,
}

impl Bot {
    /// Answers until the account is gone.
    pub(crate) async fn serve(&self, session: &mut SharedSession) -> Result<(), Gone> {
        while let Some(heard) = session.next().await {
            // What else is heard is dropped, and a question answered thereby: it is not understood.
            let Heard::Message(message) = heard else {
                continue;
            };
            if let Some(answer) = self.answer(&message).await {
                session.send_message(answer).await?;
            }
        }
        Ok(())
    }

    /// What to say to that, if anything: nothing to strangers, and nothing to errors and to what is
    /// not understood, as another bot may be at the other end.
    async fn answer(&self, message: &Message) -> Option<Message> {
        let from = message.from.clone()?;
        let friend = from.to_bare();
        if message.type_ != MessageType::Chat || !self.friends.contains(&friend) {
            return None;
        }
        // In whatever language it says it is.
        let said = message.bodies.values().next()?;
        let answer = match said.trim().to_lowercase().as_str() {
            "hello" => format!("Hello, {friend}! Say \"share\", and you get a tube."),
            "share" => self.share(friend).await,
            _ => return None,
        };
        Some(Message::chat(from).with_body(Lang::default(), answer))
    }

    /// Offers the service to a friend, once.
    async fn share(&self, friend: BareJid) -> String {
        let audience = Audience::Contact(friend.clone());
        let state = self.tubes.state();
        let mut tubes = state.tubes.values();
        if tubes.any(|tube| tube.direction == Direction::Out && tube.audience == audience) {
            return format!("You have it already: accept {SERVICE}.");
        }
        let offer = Offer::new(friend, SERVICE, self.service.clone());
        match self.tubes.offer(offer).await {
            Ok(_) => format!("With pleasure: accept {SERVICE}."),
            Err(why) => format!("I am sorry: {why}."),
        }
    }
}

/// What the service is called in the offer.
const SERVICE: &str = "x-example";
