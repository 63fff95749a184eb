//! What an offerer says of its service beside the name.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;

use crate::{ns, xml};

/// Named values, in order, that go with an offer: at most 64, and 64 KiB in all.
///
/// ```
/// use tubes_protocol::tube::{Parameters, Value};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut parameters = Parameters::default();
/// parameters.insert("path", Value::Str("/photos".to_owned()))?;
/// parameters.insert("port", Value::Uint(80))?;
/// parameters.insert("path", Value::Str("/".to_owned()))?;
/// assert_eq!(parameters.get("path"), Some(&Value::Str("/".to_owned())));
/// let names: Vec<_> = parameters.iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["path", "port"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    list: Vec<(String, Value)>,
    size: usize,
}

impl Parameters {
    /// Adds a parameter at the end, or replaces the value of one in its place.
    pub fn insert(&mut self, name: impl Into<String>, value: Value) -> Result<(), ParameterError> {
        let name = name.into();
        if name.is_empty() || name.len() > NAME || !xml::can_carry(&name) {
            return Err(ParameterError::NameInvalid);
        }
        if let Value::Str(text) = &value
            && !xml::can_carry(text)
        {
            return Err(ParameterError::ValueInvalid);
        }
        if value.size() == 0 {
            return Err(ParameterError::ValueEmpty);
        }
        self.put(name, value)
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.list.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Bytes of names and values together.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    fn put(&mut self, name: String, value: Value) -> Result<(), ParameterError> {
        let full = self.list.len() >= COUNT;
        let place = self.list.iter_mut().find(|(known, _)| *known == name);
        let freed = place
            .as_ref()
            .map_or(0, |(name, old)| name.len() + old.size());
        let size = self.size - freed + name.len() + value.size();
        if size > SIZE {
            return Err(ParameterError::TooLarge);
        }
        match place {
            Some((_, old)) => *old = value,
            None if full => return Err(ParameterError::TooMany),
            None => self.list.push((name, value)),
        }
        self.size = size;
        Ok(())
    }
}

impl TryFrom<&Element> for Parameters {
    type Error = ParameterError;

    /// Reads `<parameters/>`. Like Gabble it passes over a parameter that has no name, no known
    /// type or no content of that type, and of one name keeps the last value.
    fn try_from(parameters: &Element) -> Result<Self, ParameterError> {
        let mut read = Self::default();
        for child in parameters.children() {
            if let Some((name, value)) = parameter(child) {
                read.put(name, value)?;
            }
        }
        Ok(read)
    }
}

impl From<&Parameters> for Element {
    fn from(parameters: &Parameters) -> Self {
        let list = parameters.iter().map(|(name, value)| {
            Self::builder("parameter", ns::TUBES)
                .attr(xml_ncname!("name").into(), name)
                .attr(xml_ncname!("type").into(), value.type_name())
                .append(value.to_text())
                .build()
        });
        Self::builder("parameters", ns::TUBES)
            .append_all(list)
            .build()
    }
}

/// The value of a parameter.
///
/// ```
/// use tubes_protocol::tube::{Parameters, Value};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut parameters = Parameters::default();
/// parameters.insert("key", Value::Bytes(vec![0, 255]))?;
/// parameters.insert("view-only", Value::Bool(true))?;
/// let view_only = matches!(parameters.get("view-only"), Some(Value::Bool(true)));
/// assert!(view_only);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Bytes; at least one.
    Bytes(Vec<u8>),
    /// Yes or no.
    Bool(bool),
    /// An integer.
    Int(i32),
    /// Text that XML can carry; not empty.
    Str(String),
    /// A natural number.
    Uint(u32),
}

impl Value {
    fn read(type_name: &str, text: &str) -> Option<Self> {
        match type_name {
            "bytes" => {
                let letters: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
                let bytes = BASE64.decode(letters).ok()?;
                Some(Self::Bytes(bytes)).filter(|value| value.size() > 0)
            }
            "bool" => match text.trim() {
                "0" | "false" => Some(Self::Bool(false)),
                "1" | "true" => Some(Self::Bool(true)),
                _ => None,
            },
            "int" => text.trim().parse().ok().map(Self::Int),
            "str" => Some(Self::Str(text.to_owned())),
            "uint" => text.trim().parse().ok().map(Self::Uint),
            _ => None,
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "bytes",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Str(_) => "str",
            Self::Uint(_) => "uint",
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Bytes(bytes) => BASE64.encode(bytes),
            Self::Bool(yes) => u8::from(*yes).to_string(),
            Self::Int(number) => number.to_string(),
            Self::Str(text) => text.clone(),
            Self::Uint(number) => number.to_string(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Bool(_) => 1,
            Self::Int(_) | Self::Uint(_) => 4,
            Self::Str(text) => text.len(),
        }
    }
}

/// Why a parameter is not taken.
///
/// ```
/// use tubes_protocol::tube::{ParameterError, Parameters, Value};
///
/// let mut parameters = Parameters::default();
/// let nothing = parameters.insert("password", Value::Str(String::new()));
/// assert_eq!(nothing, Err(ParameterError::ValueEmpty));
/// let nameless = parameters.insert("", Value::Int(-1));
/// assert_eq!(nameless, Err(ParameterError::NameInvalid));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// The name is empty, too long, or cannot stand in XML.
    #[error("a name that is not valid")]
    NameInvalid,
    /// More bytes in all than an offer may have.
    #[error("more than 64 KiB")]
    TooLarge,
    /// More parameters than an offer may have.
    #[error("more than 64")]
    TooMany,
    /// Nothing is in it, and Gabble passes over such a parameter.
    #[error("an empty value")]
    ValueEmpty,
    /// The text has characters that cannot stand in XML.
    #[error("a value that XML cannot carry")]
    ValueInvalid,
}

/// One `<parameter/>`, if it has all it needs.
fn parameter(element: &Element) -> Option<(String, Value)> {
    if !element.is("parameter", ns::TUBES) {
        return None;
    }
    let name = element.attr("name").filter(|name| !name.is_empty())?;
    let text = Some(element.text()).filter(|text| !text.is_empty())?;
    let value = Value::read(element.attr("type")?, &text)?;
    Some((name.to_owned(), value))
}

/// Base64 as others write it: padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Parameters of one offer; Gabble's users had a handful.
const COUNT: usize = 64;

/// Bytes in a parameter's name.
const NAME: usize = 256;

/// Bytes of names and values together: well below what servers allow a stanza.
const SIZE: usize = 64 * 1024;
