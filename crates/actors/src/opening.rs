//! Opening a bytestream with somebody who is trusted with it, and making it safe.
//!
//! ```text
//!   this side asks:     who is it ── admission ── asked, answered ── judged ──┐
//!   the peer asks:      who is it ── judged ── (what it leads to) ── answered ┴── encrypted
//! ```
//!
//! What follows differs: a connection is spliced with a socket, a file is copied.

use std::sync::Arc;

use tubes_protocol::transcript::Transcript;
use tubes_secure::{
    Binding, Distrust, Fingerprint, Judgement, Protection, SecureError, Terms, Whom,
};
use tubes_transport::{Bytestream, Kind, OpenError, Opened, Request, Role, Tried};
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::StanzaError;

use crate::env::Env;
use crate::event::{Decision, Event, Failure};
use crate::failure;
use crate::negotiator::{Admission, Open, Proposed};
use crate::tube::Venue;

/// With whom a bytestream is opened, and about what.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) env: Env,
    pub(crate) venue: Venue,
    pub(crate) peer: FullJid,
    /// What was said of it before the negotiation, which both sides know.
    pub(crate) said: Arc<Transcript>,
}

impl Opening {
    /// Asks the peer for it. Waits until there is room for one negotiation more.
    pub(crate) async fn ask(&self, mut request: Request) -> Result<Secured, Unopened> {
        let whom = self.who_is().await?;
        let asked = self.venue.counted(&request.peer);
        let admission = self.env.negotiator.send(Open(asked)).await;
        let Ok(Some(Admission { signalling, queue })) = admission else {
            return Err(failure::abandoned().into());
        };
        let _place = queue.enter().await.ok_or_else(failure::abandoned)?;
        // That may have taken a while.
        if !self.who_is().await?.is_still(&whom) {
            return Err(failure::not_there(&self.peer).into());
        }
        request.extensions.extend(self.env.guard.abilities(&whom));
        let opened = signalling.open(request).await?;
        let terms = self.judge(&whom, &opened.extensions).await;
        let terms = terms.map_err(|why| failure::distrust(&why))?;
        Ok(self.secure(opened, Role::Requester, &whom, terms).await?)
    }

    /// Decides whether the peer may have what it asks for, by what it says of itself.
    pub(crate) async fn vet(&self, said: &[Element]) -> Result<Vetted, Vetoed> {
        let whom = self.who_is().await.map_err(Vetoed::Absent)?;
        match self.judge(&whom, said).await {
            Ok(terms) => Ok(Vetted { whom, terms }),
            Err(why) => Err(Vetoed::Distrusted(Box::new(why))),
        }
    }

    /// Gives the peer what it asks for.
    pub(crate) async fn answer(
        &self,
        proposed: Proposed,
        vetted: Vetted,
        mut request: Request,
    ) -> Result<Secured, Failure> {
        let Vetted { whom, terms } = vetted;
        if let Terms::Encrypted(_) = terms {
            request.extensions.extend(self.env.guard.abilities(&whom));
        }
        let Proposed {
            proposal,
            signalling,
            place,
            ..
        } = proposed;
        let opened = signalling.accept(proposal, request).await;
        drop(place);
        let opened = opened.map_err(|error| failure::open(&error))?;
        self.secure(opened, Role::Responder, &whom, terms).await
    }

    async fn who_is(&self) -> Result<Whom, Failure> {
        let whom = self.venue.who_is(&self.peer).await;
        whom.ok_or_else(|| failure::not_there(&self.peer))
    }

    /// Decides by what the peer says of itself, and tells the application what was decided
    /// against it.
    async fn judge(&self, whom: &Whom, said: &[Element]) -> Result<Terms, Distrust> {
        let terms = self.env.guard.judge(whom, said).await;
        if let Err(why) = &terms {
            self.refused(why);
        }
        terms
    }

    /// Encrypts what was opened, if it was opened on such terms.
    async fn secure(
        &self,
        opened: Opened,
        role: Role,
        whom: &Whom,
        terms: Terms,
    ) -> Result<Secured, Failure> {
        let Opened {
            stream,
            kind,
            purpose,
            attempts,
            transcript,
            ..
        } = opened;
        let binding = Binding::new([transcript.as_slice(), self.said.as_bytes()]);
        let guard = &self.env.guard;
        let secured = guard.secure(stream, role, whom, terms, &binding).await;
        let (stream, protection) = secured.map_err(|why| {
            if let SecureError::Distrust(why) = &why {
                self.refused(why);
            }
            failure::secure(&why)
        })?;
        match &protection {
            Protection::Plain => self.decided(Decision::Plain, None),
            Protection::Encrypted { key, judgement } if *judgement == Judgement::First => {
                self.decided(Decision::Pinned, Some(key.clone()));
            }
            _ => {}
        }
        Ok(Secured {
            stream,
            kind,
            purpose,
            attempts,
            protection,
        })
    }

    fn refused(&self, why: &Distrust) {
        // A file that cannot be read says nothing of the contact.
        if !matches!(why, Distrust::Store(_)) {
            self.decided(Decision::Refused(why.to_string()), why.key().cloned());
        }
    }

    fn decided(&self, decision: Decision, key: Option<Fingerprint>) {
        self.env.announcer.announce(Event::TrustDecided {
            contact: self.venue.counted(&self.peer),
            key,
            decision,
        });
    }
}

/// A peer that may have what it asks for, and how that is to be carried.
#[derive(Debug)]
pub(crate) struct Vetted {
    whom: Whom,
    terms: Terms,
}

impl Vetted {
    /// Whether the peer has yet to prove who it is.
    pub(crate) fn has_to_prove_itself(&self) -> bool {
        matches!(self.terms, Terms::Encrypted(_))
    }
}

/// Why a peer may not have what it asks for.
#[derive(Debug)]
pub(crate) enum Vetoed {
    /// It is not there.
    Absent(Failure),
    /// It is not trusted.
    Distrusted(Box<Distrust>),
}

impl Vetoed {
    /// The same in words for the peer, who is told no more than it needs; nothing, if it is for who
    /// asked to say.
    pub(crate) fn for_peer(&self) -> Option<StanzaError> {
        match self {
            Self::Absent(_) => None,
            Self::Distrusted(why) => Some(failure::distrust_for_peer(why)),
        }
    }
}

impl From<Vetoed> for Failure {
    fn from(vetoed: Vetoed) -> Self {
        match vetoed {
            Vetoed::Absent(failure) => failure,
            Vetoed::Distrusted(why) => failure::distrust(&why),
        }
    }
}

/// Why there is no bytestream.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// This side does not have it.
    Failed(Failure),
    /// The negotiation came to nothing.
    Open(Box<OpenError>),
}

impl From<Failure> for Unopened {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<OpenError> for Unopened {
    fn from(error: OpenError) -> Self {
        Self::Open(Box::new(error))
    }
}

/// An open bytestream that may carry what it is for.
#[derive(Debug)]
pub(crate) struct Secured {
    pub(crate) stream: Bytestream,
    /// What the peer is.
    pub(crate) kind: Kind,
    /// What the profile said in the peer's answer.
    pub(crate) purpose: Option<Element>,
    pub(crate) attempts: Vec<Tried>,
    pub(crate) protection: Protection,
}
