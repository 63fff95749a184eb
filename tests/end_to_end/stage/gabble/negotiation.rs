//! How a Gabble agrees on a bytestream, from either side: Stream Initiation, and its hosts.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::net::TcpStream;
use tubes::FullJid;
use tubes::socks5::Streamhost;
use tubes_protocol::ns;
use tubes_transport::{Ask, AskError};
use xmpp_parsers::caps::hash_caps;
use xmpp_parsers::hashes::Algo;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use super::{Gabble, dial_in_turn};
use crate::stage::patiently;

/// A bytestream that is being agreed on.
#[derive(Clone, Debug)]
pub(crate) struct Negotiation {
    pub(crate) sid: String,
    /// The other side.
    pub(crate) peer: FullJid,
    initiator: FullJid,
    target: FullJid,
}

impl Negotiation {
    /// What hosts are asked for: 40 hexadecimal digits.
    pub(crate) fn hash(&self) -> String {
        let (initiator, target) = (self.initiator.as_str(), self.target.as_str());
        stream_hash(&self.sid, initiator, target)
    }
}

/// DST.ADDR of a stream (XEP-0065 §5.3.2), independent of what is tested.
pub(crate) fn stream_hash(sid: &str, initiator: &str, target: &str) -> String {
    let name = [sid, initiator, target].concat();
    let hash = hash_caps(name.as_bytes(), Algo::Sha_1).unwrap();
    hash.hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether several methods can be agreed on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Multiple {
    No,
    Yes,
}

/// A `<streamhost/>`, as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) jid: String,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Host {
    /// How a proxy's place is told.
    pub(crate) fn of(place: &Streamhost) -> Self {
        Self {
            jid: place.jid.to_string(),
            host: place.host.clone(),
            port: place.port,
        }
    }

    /// The first of a query or an answer.
    pub(crate) fn first(query: &Element) -> Self {
        Self::read(query.children().next().unwrap())
    }

    fn read(element: &Element) -> Self {
        let said = |name: &str| element.attr(name).unwrap().to_owned();
        Self {
            jid: said("jid"),
            host: said("host"),
            port: said("port").parse().unwrap(),
        }
    }
}

/// Hosts that a Gabble was told of, and waits to be answered.
pub(crate) struct Told {
    ask: Ask,
    pub(crate) hosts: Vec<Host>,
}

impl Gabble {
    /// Asks for a bytestream of a tube; which methods it is granted, in their order.
    pub(crate) async fn initiates(
        &mut self,
        peer: &FullJid,
        tube: u32,
        multiple: Multiple,
        methods: &[&str],
    ) -> (Negotiation, Vec<String>) {
        let negotiation = Negotiation {
            sid: fresh_sid(),
            peer: peer.clone(),
            initiator: self.full.clone(),
            target: peer.clone(),
        };
        let purpose = purpose(self.purpose(), tube);
        let request = request(&negotiation.sid, &purpose, multiple, methods);
        let answering = self.ask(peer, &request).await;
        let answer = patiently("the initiation is answered", answering).await;
        let answer = answer.unwrap().unwrap();
        assert!(answer.is("si", ns::SI));
        assert!(answer.get_child("tube", ns::TUBES).is_some());
        (negotiation, chosen(&answer, multiple))
    }

    /// Asks for a bytestream of this purpose, whatever that is, and is refused; why.
    pub(crate) async fn initiates_in_vain(
        &self,
        peer: &FullJid,
        purpose: &str,
    ) -> DefinedCondition {
        let methods = [ns::BYTESTREAMS, ns::IBB];
        let request = request(&fresh_sid(), purpose, Multiple::Yes, &methods);
        let answering = self.ask(peer, &request).await;
        match patiently("the initiation is answered", answering).await {
            Err(AskError::Refused(why)) => why.defined_condition,
            other => panic!("{purpose} is not refused, but {other:?}"),
        }
    }

    /// Is asked for a bytestream, and grants these methods.
    pub(crate) async fn is_initiated(
        &mut self,
        tube: u32,
        multiple: Multiple,
        methods: &[&str],
    ) -> Negotiation {
        let ask = self.is_asked_for(tube).await;
        let sid = ask.payload().attr("id").unwrap().to_owned();
        let peer = FullJid::new(ask.from().as_str()).unwrap();
        let initiator = peer.clone();
        ask.grant(Some(answer(multiple, methods).parse().unwrap()));
        Negotiation {
            sid,
            peer,
            initiator,
            target: self.full.clone(),
        }
    }

    /// Is asked for a bytestream of this tube, in the words that it would use itself.
    pub(crate) async fn is_asked_for(&mut self, tube: u32) -> Ask {
        let ask = self.asked("si").await;
        let si = ask.payload();
        assert_eq!(si.attr("profile"), Some(ns::TUBES));
        let multiple = si.get_child("si-multiple", ns::SI_MULTIPLE).unwrap();
        assert_eq!(multiple.children().count(), 0);
        let of_tubes = si.children().filter(|child| child.has_ns(ns::TUBES));
        let expected: Element = purpose(self.purpose(), tube).parse().unwrap();
        assert_eq!(of_tubes.collect::<Vec<_>>(), [&expected]);
        assert_eq!(offered(si), [ns::BYTESTREAMS, ns::IBB]);
        ask
    }

    /// By which element bytestreams are asked for where it is.
    fn purpose(&self) -> &'static str {
        match self.is_in_room() {
            true => "muc-stream",
            false => "stream",
        }
    }

    /// Tells its hosts; whose host the other side has connected to.
    pub(crate) async fn tells_hosts(
        &mut self,
        negotiation: &Negotiation,
        hosts: &[Host],
    ) -> Result<String, AskError> {
        let query = query(&negotiation.sid, hosts);
        let answering = self.ask(&negotiation.peer, &query).await;
        let answer = patiently("the hosts are answered", answering).await?;
        let answer = answer.unwrap();
        assert!(answer.is("query", ns::BYTESTREAMS));
        let used = answer.get_child("streamhost-used", ns::BYTESTREAMS);
        Ok(used.unwrap().attr("jid").unwrap().to_owned())
    }

    /// Is told hosts; in the words that a Gabble would use itself.
    pub(crate) async fn is_told_hosts(&mut self, negotiation: &Negotiation) -> Told {
        let ask = self.asked("query").await;
        let hosts: Vec<_> = ask.payload().children().map(Host::read).collect();
        let words: Element = query(&negotiation.sid, &hosts).parse().unwrap();
        assert_eq!(*ask.payload(), words);
        if self.is_in_room() {
            // It would skip any other: there are no proxies in rooms.
            let peer = negotiation.peer.as_str();
            assert!(hosts.iter().all(|host| host.jid == peer), "{hosts:?}");
        }
        Told { ask, hosts }
    }

    /// Connects to the peer's hosts in turn, says which it was, and is open.
    pub(crate) async fn dials(&self, negotiation: &Negotiation, told: Told) -> (String, TcpStream) {
        let dialling = dial_in_turn(&told.hosts, negotiation.hash());
        let reached = patiently("a host is reached", dialling).await;
        let (host, stream) = reached.unwrap();
        told.uses(&host.jid);
        (host.jid, stream)
    }
}

impl Told {
    /// Answers that it has connected to this one's host.
    pub(crate) fn uses(self, jid: &str) {
        let used = format!(
            "<query xmlns='{}'><streamhost-used jid='{jid}'/></query>",
            ns::BYTESTREAMS
        );
        self.ask.grant(Some(used.parse().unwrap()));
    }

    /// Answers that it could not connect to any.
    pub(crate) fn finds_none(self) {
        let (type_, condition) = (ErrorType::Cancel, DefinedCondition::ItemNotFound);
        let text = "impossible to connect to any streamhost";
        self.ask
            .refuse(StanzaError::new(type_, condition, "", text));
    }
}

/// `<stream/>` or `<muc-stream/>`, for the tube of this number.
pub(crate) fn purpose(element: &str, tube: u32) -> String {
    format!("<{element} xmlns='{}' tube='{tube}'/>", ns::TUBES)
}

/// As Gabble asks: with a form, and the several methods as an extra.
fn request(sid: &str, purpose: &str, multiple: Multiple, methods: &[&str]) -> String {
    let options: String = methods
        .iter()
        .map(|method| format!("<option><value>{method}</value></option>"))
        .collect();
    let multiple = match multiple {
        Multiple::No => String::new(),
        Multiple::Yes => format!("<si-multiple xmlns='{}'/>", ns::SI_MULTIPLE),
    };
    format!(
        "<si xmlns='{si}' id='{sid}' profile='{tubes}'><feature xmlns='{feature}'>\
         <x xmlns='jabber:x:data' type='form'><field var='stream-method' type='list-single'>\
         {options}</field></x></feature>{multiple}{purpose}</si>",
        si = ns::SI,
        tubes = ns::TUBES,
        feature = ns::FEATURE_NEG,
    )
}

/// As Gabble answers, with several methods or with one.
fn answer(multiple: Multiple, methods: &[&str]) -> String {
    let values: String = methods
        .iter()
        .map(|method| format!("<value>{method}</value>"))
        .collect();
    let agreed = match multiple {
        Multiple::No => format!(
            "<feature xmlns='{}'><x xmlns='jabber:x:data' type='submit'>\
             <field var='stream-method'>{values}</field></x></feature>",
            ns::FEATURE_NEG
        ),
        Multiple::Yes => format!(
            "<si-multiple xmlns='{}'>{values}</si-multiple>",
            ns::SI_MULTIPLE
        ),
    };
    format!(
        "<si xmlns='{}'>{agreed}<tube xmlns='{}'/></si>",
        ns::SI,
        ns::TUBES
    )
}

/// What an answer agrees to. A Gabble looks for `si-multiple` first.
fn chosen(answer: &Element, multiple: Multiple) -> Vec<String> {
    if multiple == Multiple::Yes {
        let several = answer.get_child("si-multiple", ns::SI_MULTIPLE).unwrap();
        return several.children().map(Element::text).collect();
    }
    assert!(answer.get_child("si-multiple", ns::SI_MULTIPLE).is_none());
    let field = field(answer);
    assert_eq!(field.attr("var"), Some("stream-method"));
    field.children().map(Element::text).collect()
}

/// The methods of a request.
fn offered(si: &Element) -> Vec<String> {
    let field = field(si);
    assert_eq!(field.attr("type"), Some("list-single"));
    let options = field.children().filter(|child| child.name() == "option");
    options
        .map(|option| option.children().map(Element::text).collect())
        .collect()
}

fn field(si: &Element) -> &Element {
    let feature = si.get_child("feature", ns::FEATURE_NEG).unwrap();
    let form = feature.get_child("x", ns::DATA_FORMS).unwrap();
    form.get_child("field", ns::DATA_FORMS).unwrap()
}

/// As Gabble tells hosts; without any, if it has none.
fn query(sid: &str, hosts: &[Host]) -> String {
    let hosts: String = hosts
        .iter()
        .map(|Host { jid, host, port }| {
            format!("<streamhost jid='{jid}' host='{host}' port='{port}'/>")
        })
        .collect();
    format!(
        "<query xmlns='{}' sid='{sid}' mode='tcp'>{hosts}</query>",
        ns::BYTESTREAMS
    )
}

/// As Gabble draws them: the time, and a number.
fn fresh_sid() -> String {
    static DRAWN: AtomicU32 = AtomicU32::new(2_088_789_833);
    format!("1795237055-{}", DRAWN.fetch_add(1, Ordering::Relaxed))
}
