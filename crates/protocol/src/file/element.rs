//! What XEP-0096 has: `<file/>` in both halves of a Stream Initiation.

use std::fmt;
use std::str::FromStr;

use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;

use super::{Date, FileError};
use crate::{ns, xml};

/// `<file name='…' size='…'/>`: a file is offered.
#[derive(Clone, Debug, PartialEq)]
pub struct FileOffer {
    name: String,
    /// How many bytes it has.
    pub size: u64,
    /// When it was changed last.
    pub date: Option<Date>,
    /// Its sum, as old peers have it.
    pub md5: Option<Md5>,
    /// What the sender says of it; at most 4 KiB.
    pub description: Option<String>,
    /// Whether the receiver may ask for a part of it.
    pub ranged: bool,
}

impl FileOffer {
    /// An offer of a file with a name of 1 to 1,024 bytes that XML can carry, of which the receiver may ask
    /// for a part.
    ///
    /// # Errors
    ///
    /// The name cannot be said.
    pub fn new(name: impl Into<String>, size: u64) -> Result<Self, FileError> {
        let name = name.into();
        if name.is_empty() || name.len() > NAME || !xml::can_carry(&name) {
            return Err(FileError::NameInvalid);
        }
        Ok(Self {
            name,
            size,
            date: None,
            md5: None,
            description: None,
            ranged: true,
        })
    }

    /// With a word of the sender's of 1 to 4,096 bytes that XML can carry.
    ///
    /// # Errors
    ///
    /// It cannot be said.
    pub fn with_description(self, text: impl Into<String>) -> Result<Self, FileError> {
        let text = text.into();
        if text.is_empty() || text.len() > DESCRIPTION || !xml::can_carry(&text) {
            return Err(FileError::DescriptionInvalid);
        }
        Ok(Self {
            description: Some(text),
            ..self
        })
    }

    /// The name, as the sender has it: whoever makes a file of it has to make it safe first.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl TryFrom<&Element> for FileOffer {
    type Error = FileError;

    /// Reads an offer. As in Gabble, only a name and a size are needed; what else makes no sense is
    /// passed over.
    fn try_from(file: &Element) -> Result<Self, FileError> {
        if !file.is("file", ns::FILE_TRANSFER) {
            return Err(FileError::Foreign);
        }
        let name = file.attr("name").ok_or(FileError::NameMissing)?;
        let size = file.attr("size").ok_or(FileError::SizeMissing)?;
        let size = number(size).ok_or(FileError::SizeInvalid)?;
        let description = file.get_child("desc", ns::FILE_TRANSFER);
        let description = description.map(Element::text);
        Ok(Self {
            date: file.attr("date").and_then(Date::read),
            md5: file.attr("hash").and_then(|hash| hash.parse().ok()),
            description: description.filter(|text| !text.is_empty() && text.len() <= DESCRIPTION),
            ranged: file.has_child("range", ns::FILE_TRANSFER),
            ..Self::new(name, size)?
        })
    }
}

impl From<FileOffer> for Element {
    fn from(offer: FileOffer) -> Self {
        let description = offer.description.map(|text| {
            Self::builder("desc", ns::FILE_TRANSFER)
                .append(text)
                .build()
        });
        let range = offer.ranged.then(|| Self::bare("range", ns::FILE_TRANSFER));
        Self::builder("file", ns::FILE_TRANSFER)
            .attr(xml_ncname!("name").into(), offer.name)
            .attr(xml_ncname!("size").into(), offer.size)
            .attr(xml_ncname!("date").into(), offer.date.map(Date::write))
            .attr(
                xml_ncname!("hash").into(),
                offer.md5.map(|md5| md5.to_string()),
            )
            .append_all(description)
            .append_all(range)
            .build()
    }
}

/// `<file/>` in an answer: the file is wanted, or a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileAnswer {
    /// The part; the whole, if none is named.
    pub range: Range,
}

impl FileAnswer {
    /// Reads what an answer says of the file, which is often nothing: then it wants the whole.
    ///
    /// # Errors
    ///
    /// A part is asked for that the file does not have.
    pub fn read(file: Option<&Element>, size: u64) -> Result<Self, FileError> {
        let range = file
            .filter(|file| file.is("file", ns::FILE_TRANSFER))
            .and_then(|file| file.get_child("range", ns::FILE_TRANSFER));
        let range = range.map(Range::try_from).transpose()?.unwrap_or_default();
        match range.ends_within(size) {
            true => Ok(Self { range }),
            false => Err(FileError::RangeInvalid),
        }
    }
}

impl From<FileAnswer> for Element {
    fn from(answer: FileAnswer) -> Self {
        let FileAnswer { range } = answer;
        let named = range != Range::default();
        let range = named.then(|| {
            Self::builder("range", ns::FILE_TRANSFER)
                .attr(xml_ncname!("offset").into(), range.offset)
                .attr(xml_ncname!("length").into(), range.length)
                .build()
        });
        Self::builder("file", ns::FILE_TRANSFER)
            .append_all(range)
            .build()
    }
}

/// A part of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// How many bytes are left out at the beginning.
    pub offset: u64,
    /// How many follow; all, if it is not said.
    pub length: Option<u64>,
}

impl Range {
    /// How many bytes of a file of this size it has.
    pub fn length_of(self, size: u64) -> u64 {
        let rest = size.saturating_sub(self.offset);
        self.length.map_or(rest, |length| length.min(rest))
    }

    fn ends_within(self, size: u64) -> bool {
        let end = self.offset.checked_add(self.length.unwrap_or_default());
        end.is_some_and(|end| end <= size)
    }
}

impl TryFrom<&Element> for Range {
    type Error = FileError;

    fn try_from(range: &Element) -> Result<Self, FileError> {
        let read = |attribute| match range.attr(attribute) {
            None => Ok(None),
            Some(text) => number(text).map(Some).ok_or(FileError::RangeInvalid),
        };
        Ok(Self {
            offset: read("offset")?.unwrap_or_default(),
            length: read("length")?,
        })
    }
}

/// The sum by which old peers know a file. It tells an accident, and nobody who wants to deceive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Md5(pub [u8; 16]);

impl fmt::Display for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl FromStr for Md5 {
    type Err = FileError;

    fn from_str(text: &str) -> Result<Self, FileError> {
        read_hex(text.trim()).map(Self)
    }
}

pub(super) fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

pub(super) fn read_hex<const LENGTH: usize>(text: &str) -> Result<[u8; LENGTH], FileError> {
    let mut bytes = [0; LENGTH];
    if text.len() != 2 * LENGTH {
        return Err(FileError::HashInvalid);
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = str::from_utf8(digits).ok();
        let digits = digits.filter(|digits| !digits.starts_with('+'));
        let read = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        *byte = read.ok_or(FileError::HashInvalid)?;
    }
    Ok(bytes)
}

/// A decimal number without a sign.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let is_decimal = text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|_| is_decimal)
}

/// Bytes in a name as it is said. Files have shorter ones, most of them of 255.
const NAME: usize = 1024;

/// Bytes in a description, which the user gets to see; a longer one of a peer's is left out.
const DESCRIPTION: usize = 4096;
