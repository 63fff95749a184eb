//! What this project adds to the offer of a file.
//!
//! ```xml
//! <kind xmlns='urn:x-tubes:0'>
//!   <contents folder='photos/2026'>
//!     <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>47DEQpj8HBSa…</hash>
//!   </contents>
//! </kind>
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;

use super::FileError;
use super::element::{read_hex, write_hex};
use crate::{ns, xml};

/// `<contents/>`: what XEP-0096 has no place for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    folder: Vec<String>,
    /// The sum of the whole file (XEP-0300), where it is known before the file is sent. It is said with
    /// the last byte in any case.
    pub sha256: Option<Sha256>,
}

impl Contents {
    /// Of a file that stands in this folder of those that are sent together; none, if it stands alone.
    ///
    /// # Errors
    ///
    /// The folder is no relative path, or cannot be said.
    pub fn within(folder: Vec<String>) -> Result<Self, FileError> {
        let length: usize = folder.iter().map(|part| part.len() + 1).sum();
        if folder.len() > DEPTH || length > PATH || !folder.iter().all(|part| is_part(part)) {
            return Err(FileError::FolderInvalid);
        }
        Ok(Self {
            folder,
            sha256: None,
        })
    }

    /// The names of the folders on the way to the file, the outermost first: as the sender has them,
    /// and none of them empty, `.` or `..`.
    pub fn folder(&self) -> &[String] {
        &self.folder
    }

    /// Reads what stands beside an offer; a peer of another kind says nothing.
    ///
    /// # Errors
    ///
    /// What is said makes no sense.
    pub fn read(extensions: &[Element]) -> Result<Option<Self>, FileError> {
        let said = extensions
            .iter()
            .find(|extension| extension.is("contents", ns::KIND));
        said.map(Self::try_from).transpose()
    }
}

impl TryFrom<&Element> for Contents {
    type Error = FileError;

    fn try_from(contents: &Element) -> Result<Self, FileError> {
        if !contents.is("contents", ns::KIND) {
            return Err(FileError::Foreign);
        }
        let folder = contents.attr("folder").unwrap_or_default();
        let parts = folder.split('/').filter(|_| !folder.is_empty());
        let sums = contents
            .children()
            .filter(|child| child.is("hash", ns::HASHES));
        // There may be sums by other algorithms, too.
        let sum = sums
            .filter(|sum| sum.attr("algo") == Some(SHA_256))
            .map(|sum| Sha256::read(&sum.text()))
            .next();
        Ok(Self {
            sha256: sum.transpose()?,
            ..Self::within(parts.map(str::to_owned).collect())?
        })
    }
}

impl From<Contents> for Element {
    fn from(contents: Contents) -> Self {
        let folder = (!contents.folder.is_empty()).then(|| contents.folder.join("/"));
        let sum = contents.sha256.map(|sum| {
            Self::builder("hash", ns::HASHES)
                .attr(xml_ncname!("algo").into(), SHA_256)
                .append(STANDARD.encode(sum.0))
                .build()
        });
        Self::builder("contents", ns::KIND)
            .attr(xml_ncname!("folder").into(), folder)
            .append_all(sum)
            .build()
    }
}

/// The sum by which our own kind knows a file (FIPS 180-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    fn read(base64: &str) -> Result<Self, FileError> {
        let text: String = base64.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(text).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(FileError::HashInvalid)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl FromStr for Sha256 {
    type Err = FileError;

    fn from_str(text: &str) -> Result<Self, FileError> {
        read_hex(text).map(Self)
    }
}

fn is_part(part: &str) -> bool {
    !matches!(part, "" | "." | "..") && !part.contains('/') && xml::can_carry(part)
}

/// The name of the algorithm (XEP-0300).
const SHA_256: &str = "sha-256";

/// Folders within folders: deeper than people go.
const DEPTH: usize = 64;

/// Bytes in a path, as most systems have it.
const PATH: usize = 4096;
