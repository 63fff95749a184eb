//! What clients see of the server's proxy for SOCKS5 bytestreams (XEP-0065 §4, §6.3.5).

use tokio_xmpp::Stanza;
use xmpp_parsers::{
    disco::Identity,
    iq::Iq,
    jid::{BareJid, Jid},
    minidom::{Element, rxml::xml_ncname},
    ns,
    stanza_error::{DefinedCondition, ErrorType},
};

use super::{disco, hub::Me, route};
use crate::{ActivationError, Proxy};

/// A proxy, and the name under which it is asked.
#[derive(Debug)]
pub(super) struct Bytestreams {
    jid: BareJid,
    proxy: Proxy,
}

impl Bytestreams {
    pub(super) fn new(jid: BareJid, proxy: Proxy) -> Self {
        Self { jid, proxy }
    }

    pub(super) fn jid(&self) -> &BareJid {
        &self.jid
    }

    /// Answers an IQ to the proxy.
    pub(super) fn answer(&self, me: &Me, iq: Iq) -> Option<Stanza> {
        let (id, said) = match &iq {
            Iq::Get { id, payload, .. } => (id, self.describe(payload).map(Some)),
            Iq::Set { id, payload, .. } => (id, self.activate(me, payload).map(|()| None)),
            Iq::Result { .. } | Iq::Error { .. } => return None,
        };
        match said {
            Ok(payload) => {
                let answer = Iq::Result {
                    from: Some(self.jid.clone().into()),
                    to: Some(me.jid.clone().into()),
                    id: id.clone(),
                    payload,
                };
                Some(answer.into())
            }
            Err((kind, condition)) => route::error(&iq.into(), kind, condition),
        }
    }

    fn describe(&self, question: &Element) -> Result<Element, Refusal> {
        if question.attr("node").is_some() {
            return Err(UNKNOWN);
        }
        if question.is("query", ns::DISCO_INFO) {
            let identity = Identity::new_anonymous::<_, _, &str, &str>("proxy", "bytestreams");
            Ok(disco::info(identity, &[ns::DISCO_INFO, ns::DISCO_ITEMS, BYTESTREAMS]).into())
        } else if question.is("query", ns::DISCO_ITEMS) {
            Ok(disco::items(Vec::new()).into())
        } else if question.is("query", BYTESTREAMS) {
            Ok(self.stream_host())
        } else {
            Err(UNKNOWN)
        }
    }

    fn stream_host(&self) -> Element {
        let address = self.proxy.address();
        let host = Element::builder("streamhost", BYTESTREAMS)
            .attr(xml_ncname!("jid").into(), self.jid.as_str())
            .attr(xml_ncname!("host").into(), address.ip().to_string())
            .attr(xml_ncname!("port").into(), address.port().to_string());
        Element::builder("query", BYTESTREAMS).append(host).build()
    }

    /// Activates a bytestream of which the sender is the requester.
    fn activate(&self, me: &Me, order: &Element) -> Result<(), Refusal> {
        if !order.is("query", BYTESTREAMS) {
            return Err(UNKNOWN);
        }
        let sid = order.attr("sid").filter(|sid| !sid.is_empty());
        let target = order
            .get_child("activate", BYTESTREAMS)
            .and_then(|target| Jid::new(&target.text()).ok());
        let (Some(sid), Some(target)) = (sid, target) else {
            return Err((ErrorType::Modify, DefinedCondition::BadRequest));
        };
        let requester = Jid::from(me.jid.clone());
        let activated = self.proxy.activate(sid, &requester, &target);
        activated.map_err(|why| match why {
            ActivationError::Active => (ErrorType::Cancel, DefinedCondition::Conflict),
            ActivationError::Incomplete => (ErrorType::Cancel, DefinedCondition::ItemNotFound),
        })
    }
}

/// Why there is no result.
type Refusal = (ErrorType, DefinedCondition);

/// What the proxy knows nothing of.
const UNKNOWN: Refusal = (ErrorType::Cancel, DefinedCondition::ServiceUnavailable);

/// XEP-0065 §4.
const BYTESTREAMS: &str = "http://jabber.org/protocol/bytestreams";
