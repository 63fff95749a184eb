//! Somebody who speaks XMPP by hand.

use std::sync::Arc;

use tokio::sync::mpsc;
use tubes::{BareJid, FullJid};
use tubes_ibb::Ibb;
use tubes_initiation::Si;
use tubes_protocol::ns;
use tubes_protocol::tube::{Setting, StreamFor, TubeNumber, TubeOffer};
use tubes_server::Server;
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
}

impl Outsider {
    /// Makes an account on the server and logs in.
    pub(crate) async fn on(server: &Server, name: &str) -> Self {
        let account = server.fresh_account(name).await.unwrap();
        let credentials = credentials(server, &account);
        let signalling = Si::new(vec![Arc::new(Ibb::new())]);
        let mut features = signalling.features();
        features.push(ns::TUBES.to_owned());
        let starting = Session::start(credentials, features);
        let (session, events) = patiently("the login is done", starting).await.unwrap();
        let (tell, told) = mpsc::channel(16);
        tokio::spawn(listen(events, tell));
        Self {
            jid: account.jid,
            session,
            signalling,
            told,
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
        let request = Request {
            stream: StreamId::from(stream.to_owned()),
            local: self.session.jid().clone(),
            peer: peer.clone(),
            account: self.session.jid().clone(),
            purpose: StreamFor {
                number: tube,
                setting: Setting::Private,
            }
            .into(),
            extensions: Vec::new(),
            stanzas: self.session.stanzas().clone(),
        };
        let opening = self.signalling.open(request);
        Ok(patiently("a connection is open", opening).await?.stream)
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

/// Passes on what is told; what is asked finds nobody.
async fn listen(mut events: mpsc::Receiver<SessionEvent>, tell: mpsc::Sender<Element>) {
    while let Some(event) = events.recv().await {
        if let SessionEvent::Unclaimed {
            inbound: Inbound::Tell(told),
            ..
        } = event
        {
            // More than anybody waits for is of no interest.
            let _ = tell.try_send(told.payload);
        }
    }
}
