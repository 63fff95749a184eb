//! What of a server's words reaches the parser: nothing that it cannot take.
//!
//! ```text
//!   TLS ──► Line ──► tokio-xmpp
//!            └─ Filter: counts depth and bytes ── Tag: judges a start tag
//! ```
//!
//! xso 0.4.0 recurses into nested elements until the stack is full, rxml 0.14.0 ends the stream
//! at a long attribute (which XEP-0198 then brings back, for ever), and neither minds how large
//! a stanza is. All three can be sent by any stranger. So whatever is too deep, too long or too
//! much is left out before. What stays is well-formed if all was, and has as many stanzas: each
//! counts in XEP-0198 §4.
//!
//! One thing is added: xmpp-parsers 0.23.0 cannot read a `<failed/>` without the count that
//! XEP-0198 §5 leaves to the server, tokio-xmpp 6.0.0 takes that for a lost connection, and asks
//! the next one to resume the same dead session, for ever. Prosody gives no count for a session
//! that it does not know.
//!
//! - [`Filter`]: which elements stay
//! - `content.rs`: how much of the text stays; `tag.rs`: which attributes
//! - [`Line`]: the filter over a connection (`line.rs`); [`LastWords`]: why the server ended it
//!   (`farewell.rs`); [`CutAnswers`]: what is not the whole (`cut.rs`)

mod content;
mod cut;
mod farewell;
mod line;
mod tag;

use memchr::memchr2;
use thiserror::Error;

use self::content::MOST_BYTES;
use self::farewell::Farewell;
use self::tag::{Progress, Shape, Tag};

pub(crate) use self::cut::CutAnswers;
pub(crate) use self::farewell::LastWords;
pub(crate) use self::line::Line;

/// Reads XML as it comes, and passes on what a parser can take.
///
/// It never holds more than one start tag.
#[derive(Debug)]
pub(crate) struct Filter {
    spot: Spot,
    tag: Tag,
    /// Open elements that the parser knows of: the stream is one, a stanza two.
    depth: usize,
    /// Open elements that it does not know of.
    hidden: usize,
    stanza: Stanza,
    farewell: Farewell,
    cut: CutAnswers,
    restarts: u8,
    losses: u64,
}

/// What is passed on of the current stanza.
#[derive(Debug, Default)]
struct Stanza {
    /// Of an answer that somebody may wait for.
    id: Option<String>,
    bytes: usize,
    elements: usize,
    /// Only its end tags are passed on any more.
    full: bool,
    /// The text that was passed on ends inside of a reference.
    in_reference: bool,
}

/// Where in the XML the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spot {
    Text,
    /// Behind `<`.
    Markup,
    Start,
    End,
    /// Behind so many bytes of `<![CDATA[`.
    Bang(usize),
    /// Behind so many brackets of its end.
    CData(u8),
    /// Behind so many bytes of `<?xml`.
    Question(usize),
    /// In the XML declaration; whether behind a question mark.
    Declaration(bool),
    Failed(FilterError),
}

/// Why nothing more can be passed on.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum FilterError {
    /// Not the XML of RFC 6120 §11.
    #[error("the server sent what is no XML, or not the XML that XMPP allows")]
    Malformed,
    /// Without what has to be left out, a stream or a stanza would be another one.
    #[error("the server sent a stanza whose name, namespace or sender is too long")]
    Oversized,
}

impl Filter {
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn new() -> Self {
        Self::noting(CutAnswers::default())
    }

    /// One that notes here what it cuts.
    pub(crate) fn noting(cut: CutAnswers) -> Self {
        Self {
            spot: Spot::Text,
            tag: Tag::new(),
            depth: 0,
            hidden: 0,
            stanza: Stanza::default(),
            farewell: Farewell::Unsaid,
            cut,
            restarts: 0,
            losses: 0,
        }
    }

    /// Appends to `output` what may be parsed of `input`. After an error nothing more is.
    pub(crate) fn push(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), FilterError> {
        let mut rest = input;
        while !rest.is_empty() {
            match self.step(rest, output) {
                Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
                Err(error) => {
                    self.spot = Spot::Failed(error);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Whether everything up to the last byte was passed on or left out.
    pub(crate) fn holds_nothing(&self) -> bool {
        self.spot == Spot::Text
    }

    /// What the server has said of the end of the stream.
    fn farewell(&self) -> &Farewell {
        &self.farewell
    }

    /// How many attributes, elements and ends of stanzas were left out.
    pub(crate) fn losses(&self) -> u64 {
        self.losses
    }

    /// Goes on to where something else begins, or to the end; says by how many bytes.
    fn step(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, FilterError> {
        let Some(&first) = input.first() else {
            return Ok(0);
        };
        match self.spot {
            Spot::Text => Ok(self.text(input, output)),
            Spot::Markup => self.markup(first, output),
            Spot::Start => self.start(input, output),
            Spot::End => self.end(input, output),
            Spot::Bang(read) => self.bang(read, first, output),
            Spot::CData(brackets) => Ok(self.cdata(brackets, input, output)),
            Spot::Question(read) => self.question(read, first, output),
            Spot::Declaration(question) => {
                self.pass(&[first], output);
                self.spot = match (question, first) {
                    (true, b'>') => Spot::Text,
                    _ => Spot::Declaration(first == b'?'),
                };
                Ok(1)
            }
            Spot::Failed(error) => Err(error),
        }
    }

    /// Behind `<`.
    fn markup(&mut self, byte: u8, output: &mut Vec<u8>) -> Result<usize, FilterError> {
        self.spot = match byte {
            b'!' => Spot::Bang(2),
            b'?' => Spot::Question(2),
            b'/' => {
                if self.hidden == 0 {
                    output.extend_from_slice(b"</");
                    if self.depth == 0 {
                        return Err(FilterError::Malformed);
                    }
                }
                Spot::End
            }
            _ => {
                self.tag.begin();
                Spot::Start
            }
        };
        // The first byte of a name is read with the rest of it.
        Ok(usize::from(self.spot != Spot::Start))
    }

    fn start(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, FilterError> {
        let (taken, progress) = self.tag.push(input);
        match progress {
            Progress::More => {}
            Progress::Malformed => {
                if self.is_passing() {
                    output.extend_from_slice(self.tag.bytes());
                }
                return Err(FilterError::Malformed);
            }
            Progress::Done(shape) => {
                self.spot = Spot::Text;
                self.opened(shape, output)?;
            }
        }
        Ok(taken)
    }

    /// Decides on an element by its start tag.
    fn opened(&mut self, shape: Shape, output: &mut Vec<u8>) -> Result<(), FilterError> {
        match self.depth {
            _ if self.hidden > 0 => self.hide(shape),
            0 | 1 => return self.opened_outside(shape, output),
            depth => {
                let bytes = self.weight(shape);
                if self.stanza.bytes + bytes > MOST_BYTES || self.stanza.elements == MOST_ELEMENTS {
                    self.fill();
                }
                if self.stanza.full || depth >= DEEPEST || !self.tag.stands() {
                    self.losses += 1;
                    self.hide(shape);
                } else {
                    self.farewell.handle_inner(&self.tag);
                    self.losses += self.tag.dropped();
                    self.stanza.elements += 1;
                    self.stanza.bytes += bytes;
                    output.extend_from_slice(self.tag.bytes());
                    self.depth += usize::from(shape == Shape::Open);
                }
            }
        }
        Ok(())
    }

    /// A stream or a stanza: these are never left out.
    fn opened_outside(&mut self, shape: Shape, output: &mut Vec<u8>) -> Result<(), FilterError> {
        self.losses += self.tag.dropped();
        let restarts = self.depth == 1 && self.tag.is_header() && shape == Shape::Open;
        if restarts {
            self.restart()?;
        }
        if self.depth == 1 {
            self.farewell.handle_outer(&self.tag);
        }
        if self.depth == 1 && self.tag.is_uncounted_failure() {
            output.extend(self.tag.with_count());
        } else if self.tag.stands() && self.tag.is_signed() {
            output.extend_from_slice(self.tag.bytes());
        } else {
            // Where a prefix means nothing any more, neither does what is in there.
            let tag = match self.depth == 1 && self.tag.is_signed() {
                true => self.tag.without_prefixes(shape),
                false => None,
            };
            output.extend(tag.ok_or(FilterError::Oversized)?);
            self.stanza.full = true;
        }
        match shape {
            Shape::Open => {
                self.depth += 1;
                self.stanza.bytes = self.weight(shape);
                self.stanza.id = cut::id(&self.tag);
            }
            Shape::Empty => self.stanza = Stanza::default(),
        }
        Ok(())
    }

    /// Nothing more of the stanza is passed on but what ends it.
    fn fill(&mut self) {
        self.stanza.full = true;
        if let Some(id) = self.stanza.id.take() {
            self.cut.note(id);
        }
    }

    /// The bytes of the element's tags. Its end tag is passed on however full the stanza is.
    fn weight(&self, shape: Shape) -> usize {
        let end = match shape {
            Shape::Open => "</>".len() + self.tag.element().len(),
            Shape::Empty => 0,
        };
        self.tag.bytes().len() + end
    }

    /// Leaves an element out.
    fn hide(&mut self, shape: Shape) {
        self.hidden += usize::from(shape == Shape::Open);
    }

    fn end(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, FilterError> {
        let found = memchr2(b'>', b'<', input);
        let taken = found.map_or(input.len(), |at| at + 1);
        let run = input.get(..taken).unwrap_or_default();
        if self.hidden == 0 {
            // However full it is: what was begun has to end.
            output.extend_from_slice(run);
        }
        match found.and_then(|at| input.get(at)) {
            None => {}
            Some(b'>') => {
                self.spot = Spot::Text;
                self.closed();
            }
            Some(_) => return Err(FilterError::Malformed),
        }
        Ok(taken)
    }

    fn closed(&mut self) {
        if self.hidden > 0 {
            self.hidden -= 1;
            return;
        }
        self.depth = self.depth.saturating_sub(1);
        if self.depth < 2 {
            self.stanza = Stanza::default();
        }
    }

    /// A new stream on the same connection (RFC 6120 §4.3.3).
    fn restart(&mut self) -> Result<(), FilterError> {
        self.restarts += 1;
        self.stanza = Stanza::default();
        if self.restarts > MOST_RESTARTS {
            return Err(FilterError::Malformed);
        }
        self.depth = 0;
        Ok(())
    }

    fn is_passing(&self) -> bool {
        self.hidden == 0 && !self.stanza.full
    }
}

/// Specifications nest a dozen elements; xso 0.4.0 and what drops its result recurse.
const DEEPEST: usize = 2 + 64;

/// An element takes 4 bytes on the wire and a hundred times as much in memory.
const MOST_ELEMENTS: usize = 16 * 1024;

/// One follows the authentication. Not for ever: each could be an element to the parser.
const MOST_RESTARTS: u8 = 4;

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
#[cfg(any(test, feature = "fuzzing"))]
mod parsed;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
