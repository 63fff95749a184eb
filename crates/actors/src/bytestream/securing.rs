//! Whom a connection is with, and whether that is trusted.

use tubes_secure::{
    Binding, Distrust, Fingerprint, Judgement, Protection, SecureError, Terms, Whom,
};
use tubes_transport::{Bytestream, Opened, Role, Tried};
use xmpp_parsers::minidom::Element;

use super::Work;
use crate::event::{Decision, Event, Failure};
use crate::failure;

impl Work {
    pub(super) async fn who_is(&self) -> Result<Whom, Failure> {
        let whom = self.name.venue.who_is(&self.name.peer).await;
        whom.ok_or_else(|| failure::not_there(&self.name.peer))
    }

    /// Decides by what the peer says of itself, and tells the application what was decided
    /// against it.
    pub(super) async fn judge(&self, whom: &Whom, said: &[Element]) -> Result<Terms, Distrust> {
        let terms = self.env.guard.judge(whom, said).await;
        if let Err(why) = &terms {
            self.refused(why);
        }
        terms
    }

    /// Encrypts what was opened, if it was opened on such terms.
    pub(super) async fn secure(
        &self,
        opened: Opened,
        role: Role,
        whom: &Whom,
        terms: Terms,
    ) -> Result<Secured, Failure> {
        let Opened {
            stream,
            attempts,
            transcript,
            ..
        } = opened;
        let binding = Binding::new([transcript.as_slice(), self.name.offer.as_bytes()]);
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
            contact: self.name.venue.counted(&self.name.peer),
            key,
            decision,
        });
    }
}

/// An open bytestream that may carry what programs say.
pub(super) struct Secured {
    pub(super) stream: Bytestream,
    pub(super) attempts: Vec<Tried>,
    pub(super) protection: Protection,
}
