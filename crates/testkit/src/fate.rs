//! What can befall a stanza on its way.

use std::time::Duration;

use xmpp_parsers::minidom::Element;

/// What befalls a stanza on its way, in a [`Hub`](crate::Hub) or on a [`Link`](crate::Link).
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It never arrives, and its sender's connection is lost instead. (In a hub: the session.)
    Cut,
    /// It arrives; then its sender's connection is lost.
    CutAfter,
    /// It arrives this much later, and so does all that its sender says after it.
    Delay(Duration),
    /// It never arrives. A question then waits until its patience ends.
    Drop,
    /// It arrives twice.
    Duplicate,
    /// It arrives as no XML at all, which ends the session of its receiver.
    Garble,
    /// It arrives right after the sender's next stanza: never, if there is none.
    HoldBack,
    /// It arrives.
    Pass,
    /// It arrives with this payload in place of its own.
    Replace(Element),
}

/// Stanzas of one sender that wait until another one has passed them.
#[derive(Debug)]
pub(crate) struct HeldBack<T>(Vec<T>);

impl<T> HeldBack<T> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn hold(&mut self, stanza: T) {
        self.0.push(stanza);
    }

    /// What was held back, now that a stanza has passed.
    pub(crate) fn release(&mut self) -> Vec<T> {
        std::mem::take(&mut self.0)
    }
}

/// The stanza with this payload in place of its own.
pub(crate) fn replaced(mut stanza: Element, payload: Element) -> Element {
    stanza.take_nodes();
    stanza.append_child(payload);
    stanza
}
