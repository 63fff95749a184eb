//! What SOCKS5 bytestreams say in stanzas (XEP-0065 §5), and how it is read.

use tubes_transport::StreamId;
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;

use crate::{Destination, Secret};

/// Where a bytestream can be had: `<streamhost/>`.
///
/// ```
/// use tubes_socks5::{Socks5, Streamhost};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let proxy = Streamhost {
///     jid: "proxy.example.org".parse()?,
///     host: "192.0.2.1".to_owned(),
///     port: 7777,
/// };
/// assert_eq!(proxy.to_element().attr("host"), Some("192.0.2.1"));
/// let socks5 = Socks5::new().with_proxy_at(proxy);
/// # drop(socks5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Streamhost {
    /// Whose host it is: the requester's, or a proxy's.
    pub jid: Jid,
    /// An IP address or a name.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl Streamhost {
    /// Whether both are the same host, however it is called: ejabberd's proxy names itself with a
    /// resource, and some clients tell of it by the name that they asked.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let place = |host: &Self| (host.jid.to_bare(), host.port);
        place(self) == place(other) && self.host == other.host
    }

    /// The element.
    pub fn to_element(&self) -> Element {
        Element::builder("streamhost", NS)
            .attr(xml_ncname!("jid").to_owned(), self.jid.as_str())
            .attr(xml_ncname!("host").to_owned(), self.host.as_str())
            .attr(xml_ncname!("port").to_owned(), self.port.to_string())
            .build()
    }

    /// Reads one; none if it cannot be used: something is missing, or it wants to be found by
    /// `zeroconf`.
    fn read(element: &Element) -> Option<Self> {
        if !element.is("streamhost", NS) || element.attr("zeroconf").is_some() {
            return None;
        }
        let host = element.attr("host")?;
        if host.is_empty() || host.len() > LONGEST_HOST {
            return None;
        }
        Some(Self {
            jid: Jid::new(element.attr("jid")?).ok()?,
            host: host.to_owned(),
            port: element
                .attr("port")?
                .parse()
                .ok()
                .filter(|port| *port > 0)?,
        })
    }
}

/// The requester's list of hosts: `<query/>` (XEP-0065 §5.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The stream.
    pub stream: StreamId,
    /// Its hosts, best first. May be empty: then the next transport is to be tried.
    pub streamhosts: Vec<Streamhost>,
    /// What to ask the hosts for, where it is not what the negotiation's addresses say: in rooms.
    pub destination: Option<Destination>,
    /// What the requester will say first, between two of our own kind.
    pub secret: Option<Secret>,
}

impl Query {
    /// The element.
    pub fn to_element(&self) -> Element {
        let mut query = Element::builder("query", NS)
            .attr(xml_ncname!("sid").to_owned(), self.stream.as_str())
            .attr(xml_ncname!("mode").to_owned(), "tcp");
        if let Some(destination) = self.destination {
            query = query.attr(xml_ncname!("dstaddr").to_owned(), destination.to_string());
        }
        query
            .append_all(self.streamhosts.iter().map(Streamhost::to_element))
            .append_all(self.secret.map(Secret::to_element))
            .build()
    }

    /// Reads a query. Hosts that cannot be used are left out, as Gabble does, and so is what
    /// comes after the sixteenth.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is none, or for anything but TCP.
    pub fn read(element: &Element) -> Result<Self, Malformed> {
        if !element.is("query", NS) {
            return Err(Malformed("no query"));
        }
        if !matches!(element.attr("mode"), None | Some("tcp")) {
            return Err(Malformed("a mode other than tcp"));
        }
        let stream = element.attr("sid").ok_or(Malformed("no sid"))?;
        let destination = match element.attr("dstaddr") {
            None => None,
            Some(digits) => {
                Some(Destination::parse(digits.as_bytes()).ok_or(Malformed("no hash in dstaddr"))?)
            }
        };
        Ok(Self {
            stream: StreamId::from(stream),
            streamhosts: streamhosts(element),
            destination,
            secret: Secret::read(element),
        })
    }
}

/// The responder's choice: `<streamhost-used/>` (XEP-0065 §5.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// Whose host it is.
    pub jid: Jid,
}

impl Used {
    /// The element. No `sid`: some clients do not expect one.
    pub fn to_element(&self) -> Element {
        let used = Element::builder("streamhost-used", NS)
            .attr(xml_ncname!("jid").to_owned(), self.jid.as_str());
        Element::builder("query", NS).append(used).build()
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if nothing was chosen.
    pub fn read(element: &Element) -> Result<Self, Malformed> {
        let used = element
            .get_child("streamhost-used", NS)
            .filter(|_| element.is("query", NS))
            .ok_or(Malformed("no streamhost-used"))?;
        let jid = used.attr("jid").ok_or(Malformed("no jid"))?;
        Ok(Self {
            jid: Jid::new(jid).map_err(|_| Malformed("no jid"))?,
        })
    }
}

/// The requester's word to a proxy that both sides are there: `<activate/>` (XEP-0065 §6.3.5).
pub(crate) fn activate(stream: &StreamId, responder: &FullJid) -> Element {
    let activate = Element::builder("activate", NS).append(responder.as_str());
    Element::builder("query", NS)
        .attr(xml_ncname!("sid").to_owned(), stream.as_str())
        .append(activate)
        .build()
}

/// The question to a proxy where it listens (XEP-0065 §4.2).
pub(crate) fn address_question() -> Element {
    Element::bare("query", NS)
}

/// The hosts in a query or in a proxy's answer, up to sixteen.
pub fn streamhosts(element: &Element) -> Vec<Streamhost> {
    let hosts = element.children().filter_map(Streamhost::read);
    hosts.take(HOSTS).collect()
}

/// Something that has to be there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

/// SOCKS5 bytestreams, as both sides call them.
pub const NS: &str = "http://jabber.org/protocol/bytestreams";

/// Hosts in a list. A Gabble with many interfaces has a dozen.
const HOSTS: usize = 16;

/// Bytes in the name of a host (RFC 1035 §2.3.4).
const LONGEST_HOST: usize = 255;
