//! What both sides of a negotiation said, as bytes that are the same at both.

use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::{Element, Node};

/// What was said of a bytestream, by whom, in a form that does not depend on how it was written:
/// prefixes, the order of attributes, and quotes may change on the way, nothing else may.
///
/// Every part stands with its length, so that no two negotiations have the same transcript.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript(Vec<u8>);

impl Transcript {
    /// Of a question and its answer.
    pub fn new(
        requester: &FullJid,
        responder: &FullJid,
        question: &Element,
        answer: &Element,
    ) -> Self {
        let mut transcript = Self::default();
        transcript.text(requester.as_str());
        transcript.text(responder.as_str());
        transcript.element(question);
        transcript.element(answer);
        transcript
    }

    /// Of something that one side said earlier, and both remember.
    pub fn of(said: &Element) -> Self {
        let mut transcript = Self::default();
        transcript.element(said);
        transcript
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to keep.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn element(&mut self, element: &Element) {
        self.0.push(b'<');
        self.text(&element.ns());
        self.text(element.name());
        let attributes = element.attrs().iter();
        let mut attributes: Vec<_> = attributes
            .map(|((namespace, name), value)| (namespace.to_string(), name.to_string(), value))
            .collect();
        attributes.sort();
        self.number(attributes.len());
        for (namespace, name, value) in attributes {
            self.text(&namespace);
            self.text(&name);
            self.text(value);
        }
        // A text may come in several parts, which say the same.
        let mut text = String::new();
        for node in element.nodes() {
            match node {
                Node::Text(part) => text.push_str(part),
                Node::Element(child) => {
                    self.characters(&mut text);
                    self.element(child);
                }
            }
        }
        self.characters(&mut text);
        self.0.push(b'>');
    }

    fn characters(&mut self, text: &mut String) {
        if !text.is_empty() {
            self.0.push(b'=');
            self.text(text);
            text.clear();
        }
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, number: usize) {
        self.0.extend_from_slice(&(number as u64).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    fn of(question: &str) -> Transcript {
        let jid = |name: &str| format!("{name}@example.org/x").parse().unwrap();
        let (question, answer) = (
            question.parse().unwrap(),
            "<a xmlns='u:a'/>".parse().unwrap(),
        );
        Transcript::new(&jid("fernand"), &jid("alice"), &question, &answer)
    }

    #[test]
    fn how_it_is_written_does_not_matter() {
        let one = of("<q xmlns='u:q' a='1' b='&lt;'><r xmlns='u:r'>x&amp;y</r></q>");
        let same =
            of("<p:q b=\"&#60;\" xmlns:p='u:q' a='1'><r xmlns='u:r'>x<![CDATA[&]]>y</r></p:q>");
        assert_eq!(one, same);
    }

    #[test]
    fn what_is_written_does() {
        let different = [
            "<q xmlns='u:q'/>",
            "<q xmlns='u:r'/>",
            "<r xmlns='u:q'/>",
            "<q xmlns='u:q' a=''/>",
            "<q xmlns='u:q' a='b'/>",
            "<q xmlns='u:q' b='a'/>",
            "<q xmlns='u:q'>a</q>",
            "<q xmlns='u:q'>ab</q>",
            "<q xmlns='u:q'><a/>b</q>",
            "<q xmlns='u:q'>b<a/></q>",
            "<q xmlns='u:q'><a/><b/></q>",
            "<q xmlns='u:q'><b/><a/></q>",
            "<q xmlns='u:q'><a><b/></a></q>",
            "<q xmlns='u:q'> <a/><b/></q>",
        ];
        for (at, one) in different.iter().enumerate() {
            for other in different.iter().skip(at + 1) {
                assert_ne!(of(one), of(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn who_says_it_does() {
        let [alice, fernand]: [FullJid; 2] =
            ["alice@example.org/x", "fernand@example.org/x"].map(|jid| jid.parse().unwrap());
        let said: Element = "<q xmlns='u:q'/>".parse().unwrap();
        let one = Transcript::new(&alice, &fernand, &said, &said);
        assert_ne!(one, Transcript::new(&fernand, &alice, &said, &said));
    }
}
