//! The two halves of a Stream Initiation as XML.

use xmpp_parsers::minidom::rxml::xml_ncname;
use xmpp_parsers::minidom::{Element, NSChoice};
use xso::{AsXml, FromXml};

use super::SiError;
use crate::ns;

/// A request for a bytestream.
#[derive(Clone, Debug, PartialEq)]
pub struct SiRequest {
    /// The identifier of the bytestream, the same for every transport tried.
    pub id: String,
    /// What the bytestream is for. Its namespace is the profile.
    pub purpose: Element,
    /// The transports offered, best first.
    pub methods: Vec<String>,
    /// Whether the requester can fall back from one to the next.
    pub multiple: bool,
    /// Whether the requester understands what this project adds.
    pub ours: bool,
    /// Further elements, ignored by those who do not know them. Those of this project's namespace
    /// stand within `<kind/>`.
    pub extensions: Vec<Element>,
}

impl SiRequest {
    /// A request as this project makes them: able to fall back, and saying what it is.
    pub fn new(id: impl Into<String>, purpose: Element, methods: Vec<String>) -> Self {
        Self {
            id: id.into(),
            purpose,
            methods,
            multiple: true,
            ours: true,
            extensions: Vec::new(),
        }
    }

    /// Whether an element is a Stream Initiation, well-formed or not.
    pub fn is(element: &Element) -> bool {
        element.is("si", ns::SI)
    }
}

impl TryFrom<&Element> for SiRequest {
    type Error = SiError;

    /// Reads a request: as tolerant as Gabble, and bounded.
    fn try_from(si: &Element) -> Result<Self, SiError> {
        if !Self::is(si) {
            return Err(SiError::Malformed("no si element"));
        }
        let id = si.attr("id").ok_or(SiError::Malformed("no id"))?;
        if id.is_empty() || id.len() > ID {
            return Err(SiError::Malformed("an id of a wrong length"));
        }
        let profile = si.attr("profile").ok_or(SiError::Malformed("no profile"))?;
        let methods = offered(si)?;
        let Contents {
            purpose,
            ours,
            extensions,
        } = Contents::read(si, profile)?;
        Ok(Self {
            id: id.to_owned(),
            purpose: purpose.ok_or(SiError::BadProfile)?,
            methods,
            multiple: si.has_child("si-multiple", ns::SI_MULTIPLE),
            ours,
            extensions,
        })
    }
}

impl From<SiRequest> for Element {
    fn from(request: SiRequest) -> Self {
        let options = request.methods.into_iter().map(|method| {
            Self::builder("option", ns::DATA_FORMS)
                .append(value(method))
                .build()
        });
        let field = Self::builder("field", ns::DATA_FORMS)
            .attr(xml_ncname!("var").into(), STREAM_METHOD)
            .attr(xml_ncname!("type").into(), "list-single")
            .append_all(options)
            .build();
        Self::builder("si", ns::SI)
            .attr(xml_ncname!("id").into(), request.id)
            .attr(xml_ncname!("profile").into(), request.purpose.ns())
            .append(feature("form", field))
            .append_all(request.multiple.then(|| Self::from(SiMultiple::default())))
            .append(request.purpose)
            .append_all(added(request.ours, request.extensions))
            .build()
    }
}

/// The answer to a request: the bytestream is accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct SiAnswer {
    /// The transports to try, in this order. Only one unless [`multiple`](Self::multiple).
    pub methods: Vec<String>,
    /// Whether the answer allows falling back; only if the request did.
    pub multiple: bool,
    /// What the profile has to say in an answer.
    pub purpose: Option<Element>,
    /// Whether the responder understands what this project adds.
    pub ours: bool,
    /// Further elements, ignored by those who do not know them. Those of this project's namespace
    /// stand within `<kind/>`.
    pub extensions: Vec<Element>,
}

impl SiAnswer {
    /// Reads the answer to a request of the given profile, which answers do not repeat.
    ///
    /// The form of `si-multiple` is preferred, as by Gabble; then XEP-0095's own.
    pub fn read(si: &Element, profile: &str) -> Result<Self, SiError> {
        if !SiRequest::is(si) {
            return Err(SiError::Malformed("no si element"));
        }
        let multiple = si.get_child("si-multiple", ns::SI_MULTIPLE);
        let methods = match multiple {
            Some(several) => several_chosen(several)?,
            None => vec![chosen(si).ok_or(SiError::Malformed("no stream method chosen"))?],
        };
        let contents = Contents::read(si, profile)?;
        Ok(Self {
            methods,
            multiple: multiple.is_some(),
            purpose: contents.purpose,
            ours: contents.ours,
            extensions: contents.extensions,
        })
    }
}

impl From<SiAnswer> for Element {
    /// Writes the answer; without `multiple` only the first method goes in.
    fn from(answer: SiAnswer) -> Self {
        let chosen = if answer.multiple {
            let values = answer.methods;
            SiMultiple { values }.into()
        } else {
            let field = Self::builder("field", ns::DATA_FORMS)
                .attr(xml_ncname!("var").into(), STREAM_METHOD)
                .append_all(answer.methods.into_iter().next().map(value))
                .build();
            feature("submit", field)
        };
        Self::builder("si", ns::SI)
            .append(chosen)
            .append_all(answer.purpose)
            .append_all(added(answer.ours, answer.extensions))
            .build()
    }
}

/// `<si-multiple/>`: empty in a request; with the methods in an answer.
#[derive(AsXml, Clone, Debug, Default, FromXml)]
#[xml(namespace = ns::SI_MULTIPLE, name = "si-multiple")]
struct SiMultiple {
    #[xml(extract(n = .., name = "value", fields(text(type_ = String))))]
    values: Vec<String>,
}

/// What stands beside the negotiation of the method.
struct Contents {
    purpose: Option<Element>,
    ours: bool,
    extensions: Vec<Element>,
}

impl Contents {
    fn read(si: &Element, profile: &str) -> Result<Self, SiError> {
        let mut contents = Self {
            purpose: None,
            ours: false,
            extensions: Vec::new(),
        };
        for child in si.children() {
            if child.is("feature", ns::FEATURE_NEG) || child.is("si-multiple", ns::SI_MULTIPLE) {
                continue;
            }
            if child.is("kind", ns::KIND) {
                contents.ours = true;
                contents.extensions.extend(child.children().cloned());
            } else if contents.purpose.is_none() && child.has_ns(profile) {
                contents.purpose = Some(child.clone());
            } else {
                contents.extensions.push(child.clone());
            }
            if contents.extensions.len() > EXTENSIONS {
                return Err(SiError::Malformed("too many elements"));
            }
        }
        if contents.ours {
            // In the order in which they are written.
            contents
                .extensions
                .sort_by_key(|extension| !extension.has_ns(ns::KIND));
        }
        Ok(contents)
    }
}

/// The methods a request offers. As in Gabble, fields of other names do not matter, and nor do
/// the form's type and the order of things.
fn offered(si: &Element) -> Result<Vec<String>, SiError> {
    let field = stream_method(si).ok_or(SiError::Malformed("no stream methods"))?;
    if field.attr("type") != Some("list-single") {
        return Err(SiError::Malformed("stream methods that are no list"));
    }
    let methods: Vec<_> = field
        .children()
        .filter(|child| child.is("option", ns::DATA_FORMS))
        .filter_map(|option| option.get_child("value", NSChoice::Any))
        .map(Element::text)
        .filter(|method| !method.is_empty())
        .collect();
    if methods.is_empty() {
        return Err(SiError::Malformed("no stream methods"));
    }
    bounded(methods)
}

/// The methods of an answer in the form of `si-multiple`.
fn several_chosen(several: &Element) -> Result<Vec<String>, SiError> {
    let several = SiMultiple::try_from(several.clone())
        .map_err(|_| SiError::Malformed("an unreadable si-multiple"))?;
    bounded(several.values)
}

/// The method of an answer in XEP-0095's own form.
fn chosen(si: &Element) -> Option<String> {
    let method = stream_method(si)?.get_child("value", NSChoice::Any)?.text();
    (!method.is_empty()).then_some(method)
}

fn stream_method(si: &Element) -> Option<&Element> {
    si.get_child("feature", ns::FEATURE_NEG)?
        .get_child("x", ns::DATA_FORMS)?
        .children()
        .filter(|child| child.is("field", ns::DATA_FORMS))
        .find(|field| field.attr("var") == Some(STREAM_METHOD))
}

fn bounded(methods: Vec<String>) -> Result<Vec<String>, SiError> {
    if methods.len() > METHODS {
        return Err(SiError::Malformed("too many stream methods"));
    }
    Ok(methods)
}

fn feature(form: &str, field: Element) -> Element {
    let form = Element::builder("x", ns::DATA_FORMS)
        .attr(xml_ncname!("type").into(), form)
        .append(field);
    Element::builder("feature", ns::FEATURE_NEG)
        .append(form)
        .build()
}

fn value(method: String) -> Element {
    Element::builder("value", ns::DATA_FORMS)
        .append(method)
        .build()
}

/// What stands beside what the XEP has: that this side is of this project's kind, within that what
/// the project adds, and then what others add.
fn added(ours: bool, extensions: Vec<Element>) -> impl Iterator<Item = Element> {
    let (inside, outside): (Vec<_>, Vec<_>) = extensions
        .into_iter()
        .partition(|extension| ours && extension.has_ns(ns::KIND));
    let kind = ours.then(|| {
        Element::builder("kind", ns::KIND)
            .append_all(inside)
            .build()
    });
    kind.into_iter().chain(outside)
}

/// The name of the form field that carries the methods (XEP-0095 §3.2).
const STREAM_METHOD: &str = "stream-method";

/// Bytes in an identifier. It is kept as long as its bytestream; Gabble's have about twenty.
const ID: usize = 256;

/// Methods in a request or answer. Two are in use.
const METHODS: usize = 16;

/// Elements beside those that belong to Stream Initiation.
const EXTENSIONS: usize = 16;
