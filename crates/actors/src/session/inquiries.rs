//! What the application asks about the session.

use actix::{Handler, Message, ResponseFuture};
use tubes_session::{Contact, Login};
use tubes_transport::Gone;
use xmpp_parsers::jid::BareJid;

use super::SessionActor;

/// Say what is known of a contact.
#[derive(Message)]
#[rtype(result = "Result<Contact, Gone>")]
pub(crate) struct LookUp(pub(crate) BareJid);

impl Handler<LookUp> for SessionActor {
    type Result = ResponseFuture<Result<Contact, Gone>>;

    fn handle(&mut self, LookUp(contact): LookUp, _: &mut Self::Context) -> Self::Result {
        let session = self.session.clone();
        Box::pin(async move { session.contact(contact).await })
    }
}

/// Say how the latest login went.
#[derive(Message)]
#[rtype(result = "Result<Login, Gone>")]
pub(crate) struct LatestLogin;

impl Handler<LatestLogin> for SessionActor {
    type Result = ResponseFuture<Result<Login, Gone>>;

    fn handle(&mut self, LatestLogin: LatestLogin, _: &mut Self::Context) -> Self::Result {
        let session = self.session.clone();
        Box::pin(async move { session.login().await })
    }
}
