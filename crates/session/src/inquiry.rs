//! Questions of the session's owner about what the session knows.

use tokio::sync::oneshot;
use xmpp_parsers::jid::BareJid;

use crate::Contact;
use crate::event::Login;
use crate::router::Router;

/// A question, and where its answer goes.
#[derive(Debug)]
pub(crate) enum Inquiry {
    Contact(BareJid, oneshot::Sender<Contact>),
    Login(oneshot::Sender<Login>),
}

impl Inquiry {
    /// Answers at once. Whoever asked may have lost interest.
    pub(crate) fn answer(self, login: &Login, router: &Router) {
        match self {
            Self::Contact(jid, answer) => drop(answer.send(router.contact(&jid))),
            Self::Login(answer) => drop(answer.send(login.clone())),
        }
    }
}
