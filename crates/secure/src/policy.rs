//! Whether a bytestream may go unencrypted.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Whether bytestreams are encrypted from end to end.
///
/// ```
/// use tubes_secure::Encryption;
///
/// assert_eq!(Encryption::default(), Encryption::Required);
/// assert_eq!("preferred".parse(), Ok(Encryption::Preferred));
/// assert!("sometimes".parse::<Encryption>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encryption {
    /// Always: who cannot is refused.
    #[default]
    Required,
    /// With whoever can. With a contact that once did, or publishes a key, always.
    Preferred,
    /// Never.
    Off,
}

impl Encryption {
    /// All that there are.
    pub const ALL: [Self; 3] = [Self::Required, Self::Preferred, Self::Off];

    /// The one of the two that allows less.
    pub(crate) fn stricter(self, other: Self) -> Self {
        let first = Self::ALL.into_iter().find(|of| [self, other].contains(of));
        first.unwrap_or(self)
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required => "required",
            Self::Preferred => "preferred",
            Self::Off => "off",
        })
    }
}

impl FromStr for Encryption {
    type Err = UnknownEncryption;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|known| known.to_string() == name)
            .ok_or_else(|| UnknownEncryption(name.to_owned()))
    }
}

/// It is none of the three.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{0}` is none of `required`, `preferred` and `off`")]
pub struct UnknownEncryption(String);
