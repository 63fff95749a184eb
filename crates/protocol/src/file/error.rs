//! Why something said of a file cannot be followed.

use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

/// Why something said of a file cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The description is empty, too long, or cannot stand in XML.
    #[error("the description is not 1 to 4,096 bytes of text without control characters")]
    DescriptionInvalid,
    /// The folder that the file is in is no relative path, or too long.
    #[error("the file's folder is not valid")]
    FolderInvalid,
    /// The element is another one.
    #[error("not an element of file transfer")]
    Foreign,
    /// A sum is none, or by another algorithm than is known.
    #[error("the file's sum is not valid")]
    HashInvalid,
    /// The name is empty, too long, or cannot stand in XML.
    #[error("the file's name is not valid")]
    NameInvalid,
    /// No name is given.
    #[error("the file's name is missing")]
    NameMissing,
    /// The part that is asked for is none.
    #[error("the range is not valid")]
    RangeInvalid,
    /// The size is no decimal number of bytes.
    #[error("the file's size is not valid")]
    SizeInvalid,
    /// No size is given.
    #[error("the file's size is missing")]
    SizeMissing,
    /// The bytestream is not named.
    #[error("the file's bytestream is missing")]
    StreamMissing,
    /// A line that has to say how it went says something else.
    #[error("the peer's last word is not understood")]
    Unintelligible,
}

impl FileError {
    /// The answer to a Stream Initiation that offers a file so: Gabble's `bad-request`.
    pub fn to_stanza_error(&self) -> StanzaError {
        let condition = DefinedCondition::BadRequest;
        StanzaError::new(ErrorType::Modify, condition, "en", self.to_string())
    }
}
