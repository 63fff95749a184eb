//! One start tag, held back until its end shows whether a parser can take it.

use std::mem;
use std::ops::Range;

use memchr::{memchr, memchr3};

/// A start tag in the making, without what has to be left out.
#[derive(Debug)]
pub(super) struct Tag {
    /// From `<` on.
    held: Vec<u8>,
    /// Where the name ends in it.
    name: usize,
    /// The attributes that stay, each with the space before it.
    kept: Vec<Range<usize>>,
    /// Those of them that are not [`ESSENTIAL`].
    others: usize,
    spot: Spot,
    attribute: Attribute,
    /// How long the current name or value is, once its references are resolved, or less.
    length: usize,
    /// How many attributes are left out.
    dropped: u64,
    flaws: Flaws,
}

/// What the loss of an attribute or of a name does to the element.
#[derive(Clone, Copy, Debug, Default)]
struct Flaws {
    /// Nobody can say what it is.
    unnamed: bool,
    /// Some prefix means nothing any more.
    unbound: bool,
    /// It says no more who sent it.
    unsigned: bool,
}

#[derive(Clone, Copy, Debug)]
enum Spot {
    Name,
    /// Between attributes; whether there was space.
    Gap(bool),
    Key,
    Equals,
    Quote,
    Value(u8),
    Reference(u8),
    Slash,
}

/// The attribute being read.
#[derive(Debug, Default)]
struct Attribute {
    /// Where the space before it begins.
    gap: usize,
    key: Range<usize>,
    /// A part of it was not even held.
    too_long: bool,
}

/// How far a tag has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    /// It ended; whether the element ended with it.
    Done(Shape),
    /// No parser goes beyond this byte.
    Malformed,
}

/// Whether an element has an end tag of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Open,
    Empty,
}

impl Tag {
    pub(super) fn new() -> Self {
        Self {
            held: Vec::new(),
            name: 0,
            kept: Vec::new(),
            others: 0,
            spot: Spot::Name,
            attribute: Attribute::default(),
            length: 0,
            dropped: 0,
            flaws: Flaws::default(),
        }
    }

    /// Begins a new tag: `<` was read.
    pub(super) fn begin(&mut self) {
        self.held.clear();
        self.held.push(b'<');
        self.kept.clear();
        self.others = 0;
        self.spot = Spot::Name;
        self.length = 0;
        self.dropped = 0;
        self.flaws = Flaws::default();
    }

    /// Takes the bytes up to the end of the tag, or all; says how many, and what became of it.
    pub(super) fn push(&mut self, input: &[u8]) -> (usize, Progress) {
        let mut rest = input;
        while !rest.is_empty() {
            let (taken, progress) = self.step(rest);
            rest = rest.get(taken..).unwrap_or_default();
            if progress != Progress::More {
                return (input.len() - rest.len(), progress);
            }
        }
        (input.len(), Progress::More)
    }

    /// The tag as far as it stays.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.held
    }

    /// How many attributes are left out of it.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether the element means the same without what is left out.
    pub(super) fn stands(&self) -> bool {
        !self.flaws.unnamed && !self.flaws.unbound
    }

    /// Whether it says who sent it, if it ever did.
    pub(super) fn is_signed(&self) -> bool {
        !self.flaws.unsigned
    }

    /// Whether this is the header of a stream.
    pub(super) fn is_header(&self) -> bool {
        self.local_name() == b"stream"
    }

    /// The element's name without its prefix.
    pub(super) fn local_name(&self) -> &[u8] {
        let name = self.element();
        name.rsplit(|&byte| byte == b':').next().unwrap_or(name)
    }

    /// The attributes that stay, as they are written: each its name, and what follows the `=`.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let ranges = self.kept.iter().cloned();
        let attributes = ranges.filter_map(|range| self.held.get(range));
        attributes.filter_map(|attribute| {
            let (key, value) = attribute.split_at(memchr(b'=', attribute)?);
            Some((key.trim_ascii(), value.get(1..)?))
        })
    }

    /// Whether this is the `<failed/>` of XEP-0198 without a count. Nothing else of that name
    /// stands outside of stanzas once a client is authenticated.
    pub(super) fn is_uncounted_failure(&self) -> bool {
        self.element() == b"failed" && !self.attributes().any(|(key, _)| key == b"h")
    }

    /// The tag with a count that says nothing: what a session that is gone has handled matters
    /// to nobody.
    pub(super) fn with_count(&self) -> Vec<u8> {
        let (name, rest) = self.held.split_at(self.name.min(self.held.len()));
        [name, b" h='0'", rest].concat()
    }

    /// Leaves out whatever depends on a prefix. `None` if that is the element itself.
    pub(super) fn without_prefixes(&self, shape: Shape) -> Option<Vec<u8>> {
        if self.flaws.unnamed || self.element().contains(&b':') {
            return None;
        }
        let mut tag = self.held.get(..self.name)?.to_vec();
        for range in &self.kept {
            let attribute = self.held.get(range.clone())?;
            let key = attribute.split(|&byte| byte == b'=').next()?.trim_ascii();
            if key.starts_with(b"xml:") || !key.contains(&b':') {
                tag.extend_from_slice(attribute);
            }
        }
        tag.extend_from_slice(match shape {
            Shape::Open => b">",
            Shape::Empty => b"/>",
        });
        Some(tag)
    }

    /// The element's name.
    pub(super) fn element(&self) -> &[u8] {
        self.held.get(1..self.name).unwrap_or_default()
    }

    fn step(&mut self, input: &[u8]) -> (usize, Progress) {
        match self.spot {
            Spot::Name => self.name(input),
            Spot::Key => self.key(input),
            Spot::Value(quote) => self.value(input, quote),
            Spot::Reference(quote) => self.reference(input, quote),
            _ => match input.first() {
                Some(&byte) => (1, self.punctuation(byte)),
                None => (0, Progress::More),
            },
        }
    }

    fn name(&mut self, input: &[u8]) -> (usize, Progress) {
        let end = self.word(input);
        if end == input.len() {
            return (end, Progress::More);
        }
        if self.length == 0 {
            return (end, self.malformed(input.get(end)));
        }
        self.name = self.held.len();
        if self.length > LONGEST_NAME {
            self.flaws.unnamed = true;
        }
        self.attribute.gap = self.held.len();
        self.spot = Spot::Gap(false);
        (end, Progress::More)
    }

    fn key(&mut self, input: &[u8]) -> (usize, Progress) {
        let end = self.word(input);
        if end < input.len() {
            self.attribute.key.end = self.held.len();
            self.attribute.too_long |= self.length > LONGEST_NAME;
            self.spot = Spot::Equals;
        }
        (end, Progress::More)
    }

    fn value(&mut self, input: &[u8], quote: u8) -> (usize, Progress) {
        let found = memchr3(quote, b'<', b'&', input);
        let end = found.unwrap_or(input.len());
        self.length += end;
        self.hold(input.get(..end).unwrap_or_default());
        match input.get(end) {
            None => (end, Progress::More),
            Some(&b'<') => (end + 1, self.malformed(input.get(end))),
            Some(&b'&') => {
                self.hold(b"&");
                self.length += LONGEST_CHARACTER;
                self.spot = Spot::Reference(quote);
                (end + 1, Progress::More)
            }
            Some(_) => {
                self.hold(&[quote]);
                self.judge();
                self.attribute.gap = self.held.len();
                self.spot = Spot::Gap(false);
                (end + 1, Progress::More)
            }
        }
    }

    fn reference(&mut self, input: &[u8], quote: u8) -> (usize, Progress) {
        let found = memchr3(b';', quote, b'<', input);
        let end = found.unwrap_or(input.len());
        self.hold(input.get(..end).unwrap_or_default());
        match input.get(end) {
            None => (end, Progress::More),
            Some(&b';') => {
                self.hold(b";");
                self.spot = Spot::Value(quote);
                (end + 1, Progress::More)
            }
            Some(_) => (end + 1, self.malformed(input.get(end))),
        }
    }

    fn punctuation(&mut self, byte: u8) -> Progress {
        match (self.spot, byte) {
            (Spot::Gap(spaced), b' ' | b'\t' | b'\r' | b'\n') => {
                // One is needed.
                if !spaced || self.held.len() < MOST_ATTRIBUTE_BYTES {
                    self.hold(&[byte]);
                }
                self.spot = Spot::Gap(true);
            }
            (Spot::Equals | Spot::Quote, b' ' | b'\t' | b'\r' | b'\n') => self.hold(&[byte]),
            (Spot::Gap(_), b'>') => {
                self.held.push(byte);
                return Progress::Done(Shape::Open);
            }
            (Spot::Slash, b'>') => {
                self.held.push(byte);
                return Progress::Done(Shape::Empty);
            }
            (Spot::Gap(_), b'/') => {
                self.held.push(byte);
                self.spot = Spot::Slash;
            }
            (Spot::Gap(true), _) if !ends_word(byte) => {
                self.attribute.key = self.held.len()..self.held.len();
                self.attribute.too_long = false;
                self.length = 1;
                self.hold(&[byte]);
                self.spot = Spot::Key;
            }
            (Spot::Equals, b'=') => {
                self.hold(&[byte]);
                self.spot = Spot::Quote;
            }
            (Spot::Quote, b'\'' | b'"') => {
                self.hold(&[byte]);
                self.length = 0;
                self.spot = Spot::Value(byte);
            }
            _ => return self.malformed(Some(&byte)),
        }
        Progress::More
    }

    /// Holds the rest of a name; says where it ends.
    fn word(&mut self, input: &[u8]) -> usize {
        let found = input.iter().position(|&byte| ends_word(byte));
        let end = found.unwrap_or(input.len());
        self.length += end;
        self.hold(input.get(..end).unwrap_or_default());
        end
    }

    /// The parser is to see, too, what it cannot take.
    fn malformed(&mut self, byte: Option<&u8>) -> Progress {
        self.held.extend(byte);
        Progress::Malformed
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = MOST_BYTES.saturating_sub(self.held.len());
        self.attribute.too_long |= bytes.len() > room;
        let bytes = bytes.get(..room).unwrap_or(bytes);
        self.held.extend_from_slice(bytes);
    }

    /// Decides on the attribute that has just ended.
    fn judge(&mut self) {
        let attribute = mem::take(&mut self.attribute);
        let key = self.held.get(attribute.key).unwrap_or_default();
        let unprefixed = key == b"xmlns";
        let declares = unprefixed || key.starts_with(b"xmlns:");
        let essential = ESSENTIAL.contains(&key);
        let longest = match declares {
            true => LONGEST_NAMESPACE,
            false => LONGEST_VALUE,
        };
        let room =
            essential || (self.others < MOST_ATTRIBUTES && self.held.len() <= MOST_ATTRIBUTE_BYTES);
        if room && !attribute.too_long && self.length <= longest {
            self.others += usize::from(!essential);
            self.kept.push(attribute.gap..self.held.len());
            return;
        }
        self.flaws.unnamed |= unprefixed;
        // What is not even held may be anything.
        self.flaws.unbound |= declares || (attribute.too_long && b"xmlns:".starts_with(key));
        self.flaws.unsigned |= key == b"from";
        self.dropped += 1;
        self.held.truncate(attribute.gap);
    }
}

fn ends_word(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t' | b'\r' | b'\n' | b'=' | b'/' | b'>' | b'<' | b'\'' | b'"'
    )
}

/// Without these a stanza is another one. They stay, however many attributes a stranger adds:
/// the server writes them, so they are no longer than it lets them be.
const ESSENTIAL: [&[u8]; 4] = [b"from", b"id", b"to", b"type"];

/// rxml 0.14.0 ends the stream at a value of more than 8192 bytes. The longest address takes
/// 3071 (RFC 7622 §3.1).
pub(super) const LONGEST_VALUE: usize = 8000;

/// minidom 0.19.0 copies the namespace into every element that is in it.
pub(super) const LONGEST_NAMESPACE: usize = 1024;

/// It is copied as well; nobody needs as much.
pub(super) const LONGEST_NAME: usize = 1024;

/// No element of any specification has a dozen.
pub(super) const MOST_ATTRIBUTES: usize = 64;

/// Beyond this, attributes are left out whatever they are.
const MOST_ATTRIBUTE_BYTES: usize = 32 * 1024;

/// Those, and the [`ESSENTIAL`] ones with all their characters written as references.
const MOST_BYTES: usize = 128 * 1024;

/// In UTF-8: what a reference can stand for.
const LONGEST_CHARACTER: usize = 4;
