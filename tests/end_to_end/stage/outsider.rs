//! Somebody who speaks XMPP by hand.

use std::sync::Arc;

use tokio::sync::mpsc;
use tubes::{BareJid, FullJid};
use tubes_ibb::Ibb;
use tubes_initiation::Si;
use tubes_protocol::ns;
use tubes_protocol::tube::{Setting, StreamFor, TubeNumber, TubeOffer};
use tubes_server::{Account, Server};
use tubes_session::{Session, SessionEvent, Subscribe};
use tubes_transport::{
    AskError, Bytestream, Inbound, OpenError, Patience, Question, Request, Signalling, StreamId,
};
use xmpp_parsers::minidom::Element;

use super::{credentials, patiently};

/// An account without tubes of its own, that says whatever it is told to say.
pub(crate) struct Outsider {
    pub(crate) jid: BareJid,
    session: Session,
    signalling: Si,
    told: mpsc::Receiver<Element>,
    asked: mpsc::Receiver<Element>,
}

impl Outsider {
    /// Makes an account on the server and logs in.
    pub(crate) async fn on(server: &Server, name: &str) -> Self {
        let features = [ns::SI, ns::KIND, ns::IBB, ns::TUBES];
        Self::that_does(server, name, &features).await
    }

    /// Makes an account on the server and logs in; says that it does this.
    pub(crate) async fn that_does(server: &Server, name: &str, features: &[&str]) -> Self {
        let account = server.fresh_account(name).await.unwrap();
        Self::logged_in(server, &account, features).await
    }

    /// Logs in to an account that somebody else may have, too; says that it does this.
    pub(crate) async fn logged_in(server: &Server, account: &Account, features: &[&str]) -> Self {
        let credentials = credentials(server, account);
        let signalling = Si::new(vec![Arc::new(Ibb::new())]);
        let features = features.iter().map(|&feature| feature.to_owned()).collect();
        let starting = Session::start(credentials, features);
        let (session, events) = patiently("the login is done", starting).await.unwrap();
        let (tell, told) = mpsc::channel(16);
        let (ask, asked) = mpsc::channel(16);
        tokio::spawn(listen(events, tell, ask));
        Self {
            jid: account.jid.clone(),
            session,
            signalling,
            told,
            asked,
        }
    }

    /// Sees the contact's presence, and shows its own.
    pub(crate) async fn befriend(&self, contact: &BareJid) {
        self.session.consent(contact.clone(), Subscribe::Yes).await;
    }

    /// The number of the next tube that is offered.
    pub(crate) async fn offered(&mut self) -> TubeNumber {
        let offer = async {
            loop {
                let told = self.told.recv().await.unwrap();
                if let Ok(offer) = TubeOffer::try_from(&told) {
                    return offer.number();
                }
            }
        };
        patiently("a tube is offered", offer).await
    }

    /// Asks for a connection through a tube, under an identifier that others may know.
    pub(crate) async fn open(
        &self,
        peer: &FullJid,
        tube: TubeNumber,
        stream: &str,
    ) -> Result<Bytestream, OpenError> {
        let purpose = StreamFor {
            number: tube,
            setting: Setting::Private,
        };
        self.open_for(peer, purpose.into(), Vec::new(), stream)
            .await
    }

    /// Asks for a bytestream for any purpose, and says what belongs to that.
    pub(crate) async fn open_for(
        &self,
        peer: &FullJid,
        purpose: Element,
        extensions: Vec<Element>,
        stream: &str,
    ) -> Result<Bytestream, OpenError> {
        let request = Request {
            stream: StreamId::from(stream.to_owned()),
            local: self.session.jid().clone(),
            peer: peer.clone(),
            account: self.session.jid().clone(),
            purpose,
            extensions,
            patience: Patience::NEGOTIATION,
            stanzas: self.session.stanzas().clone(),
        };
        let opening = self.signalling.open(request);
        Ok(patiently("a connection is open", opening).await?.stream)
    }

    /// The next thing that is asked for, by its name, if somebody has asked.
    pub(crate) async fn asked_for(&mut self, name: &str) -> Element {
        let asking = async {
            loop {
                let asked = self.asked.recv().await.unwrap();
                if asked.name() == name {
                    return asked;
                }
            }
        };
        patiently("something is asked", asking).await
    }

    /// The names of what was asked for and not looked at yet.
    pub(crate) fn asked_so_far(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.asked.try_recv().ok())
            .map(|asked| asked.name().to_owned())
            .collect()
    }

    /// Asks for something to be done, and waits for the answer.
    pub(crate) async fn ask(&self, peer: &FullJid, what: &str) -> Result<(), AskError> {
        let (to, what) = (Some(peer.clone().into()), what.parse().unwrap());
        let stanzas = self.session.stanzas();
        let asking = stanzas.ask(to, Question::Set, what, Patience::default());
        patiently("a question is answered", asking.await.unwrap()).await?;
        Ok(())
    }

    /// Tells something.
    pub(crate) async fn tell(&self, peer: &FullJid, what: Vec<Element>) {
        let telling = self.session.stanzas().tell(peer.clone().into(), what);
        telling.await.unwrap();
    }

    /// Logs out.
    pub(crate) async fn leave(self) {
        patiently("an outsider leaves", self.session.close()).await;
    }
}

/// Passes on what is told, and what is asked, which finds nobody.
async fn listen(
    mut events: mpsc::Receiver<SessionEvent>,
    tell: mpsc::Sender<Element>,
    ask: mpsc::Sender<Element>,
) {
    while let Some(event) = events.recv().await {
        let SessionEvent::Unclaimed { inbound, .. } = event else {
            continue;
        };
        let heard = inbound.payload().clone();
        // More than anybody waits for is of no interest.
        let _ = match inbound {
            Inbound::Tell(_) => tell.try_send(heard),
            _ => ask.try_send(heard),
        };
    }
}
