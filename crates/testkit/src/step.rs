//! The steps of a bytestream's life, as they are seen on the way.

use std::collections::{HashMap, HashSet};

use tubes_transport::Role;
use xmpp_parsers::minidom::Element;

/// What is said for a bytestream; a role is who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The question for a bytestream (XEP-0095 §3.2).
    SiRequest,
    /// Its answer, of whichever kind.
    SiAnswer,
    /// The question to open an in-band bytestream (XEP-0047 §2.1).
    Open,
    /// Its answer, of whichever kind.
    OpenAnswer,
    /// A block (XEP-0047 §2.2).
    Data(Role),
    /// Its acknowledgement, or why there is none.
    DataAnswer(Role),
    /// The question to close the bytestream (XEP-0047 §2.3).
    Close(Role),
    /// Its answer, of whichever kind.
    CloseAnswer(Role),
    /// The hosts of a SOCKS5 bytestream (XEP-0065 §5.3.1).
    Hosts,
    /// The one that was used, or why there is none.
    HostsAnswer,
    /// The question to a proxy to activate the bytestream (XEP-0065 §6.3.5).
    Activation,
    /// Its answer, of whichever kind.
    ActivationAnswer,
}

impl Step {
    /// Those of an in-band bytestream.
    pub const IN_BAND: [Self; 12] = [
        Self::SiRequest,
        Self::SiAnswer,
        Self::Open,
        Self::OpenAnswer,
        Self::Data(Role::Requester),
        Self::Data(Role::Responder),
        Self::DataAnswer(Role::Requester),
        Self::DataAnswer(Role::Responder),
        Self::Close(Role::Requester),
        Self::Close(Role::Responder),
        Self::CloseAnswer(Role::Requester),
        Self::CloseAnswer(Role::Responder),
    ];

    /// Those of a SOCKS5 bytestream that is a connection between the two sides: all that the servers
    /// see of it.
    pub const DIRECT: [Self; 4] = [
        Self::SiRequest,
        Self::SiAnswer,
        Self::Hosts,
        Self::HostsAnswer,
    ];

    /// Those of a SOCKS5 bytestream through a proxy. The last two are between the requester and the
    /// proxy, and the responder's server need not see them.
    pub const PROXIED: [Self; 6] = [
        Self::SiRequest,
        Self::SiAnswer,
        Self::Hosts,
        Self::HostsAnswer,
        Self::Activation,
        Self::ActivationAnswer,
    ];

    /// Who says it; none of the two, if a proxy does.
    pub fn role(self) -> Option<Role> {
        Some(match self {
            Self::SiRequest | Self::Open | Self::Hosts | Self::Activation => Role::Requester,
            Self::SiAnswer | Self::OpenAnswer | Self::HostsAnswer => Role::Responder,
            Self::Data(role)
            | Self::DataAnswer(role)
            | Self::Close(role)
            | Self::CloseAnswer(role) => role,
            Self::ActivationAnswer => return None,
        })
    }
}

/// Tells the steps of one bytestream after another apart: an answer is known by the question that
/// it has the id of.
#[derive(Debug, Default)]
pub struct Observer {
    asked: HashMap<String, Step>,
    /// The bytestreams of which hosts were told: with others a proxy is tried out.
    hosted: HashSet<String>,
}

impl Observer {
    /// The step that this stanza of this role is, if it is one. Wants to see all of both, and of
    /// proxies, for which any role will do.
    pub fn observe(&mut self, role: Role, stanza: &Element) -> Option<Step> {
        let id = stanza.attr("id")?;
        if stanza.attr("type") != Some("set") {
            return Some(match self.asked.get(id)? {
                Step::SiRequest => Step::SiAnswer,
                Step::Open => Step::OpenAnswer,
                Step::Data(_) => Step::DataAnswer(role),
                Step::Close(_) => Step::CloseAnswer(role),
                Step::Hosts => Step::HostsAnswer,
                Step::Activation => Step::ActivationAnswer,
                _ => return None,
            });
        }
        let payload = stanza.children().next()?;
        let step = match payload.name() {
            "si" => Step::SiRequest,
            "open" => Step::Open,
            "data" => Step::Data(role),
            "close" => Step::Close(role),
            "query" if payload.has_ns(BYTESTREAMS) => self.query(payload)?,
            _ => return None,
        };
        self.asked.insert(id.to_owned(), step);
        Some(step)
    }

    fn query(&mut self, query: &Element) -> Option<Step> {
        let stream = query.attr("sid")?;
        if !query.has_child("activate", BYTESTREAMS) {
            self.hosted.insert(stream.to_owned());
            return Some(Step::Hosts);
        }
        self.hosted.contains(stream).then_some(Step::Activation)
    }
}

/// SOCKS5 bytestreams; other queries are of other things.
const BYTESTREAMS: &str = "http://jabber.org/protocol/bytestreams";

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn observed(observer: &mut Observer, role: Role, stanza: &str) -> Option<Step> {
        observer.observe(role, &stanza.parse().unwrap())
    }

    #[test]
    fn an_answer_is_told_by_its_question() {
        let mut observer = Observer::default();
        let data = "<iq xmlns='jabber:client' type='set' id='1'><data xmlns='x'/></iq>";
        let result = "<iq xmlns='jabber:client' type='result' id='1'/>";
        let (requester, responder) = (Role::Requester, Role::Responder);
        assert_eq!(observed(&mut observer, responder, result), None);
        let step = observed(&mut observer, requester, data);
        assert_eq!(step, Some(Step::Data(requester)));
        let step = observed(&mut observer, responder, result);
        assert_eq!(step, Some(Step::DataAnswer(responder)));
    }

    #[test]
    fn a_proxy_is_activated_for_a_bytestream_and_not_for_a_trial() {
        let mut observer = Observer::default();
        let query = |id: &str, stream: &str, payload: &str| {
            format!(
                "<iq xmlns='jabber:client' type='set' id='{id}'>\
                   <query xmlns='{BYTESTREAMS}' sid='{stream}'>{payload}</query>\
                 </iq>"
            )
        };
        let activate = "<activate>fernand@tubes.example/lab</activate>";
        let result = |id: &str| format!("<iq xmlns='jabber:client' type='result' id='{id}'/>");
        let (requester, responder) = (Role::Requester, Role::Responder);
        for (role, stanza, step) in [
            (requester, query("1", "trial", activate), None),
            (responder, result("1"), None),
            (requester, query("2", "s1", ""), Some(Step::Hosts)),
            (responder, result("2"), Some(Step::HostsAnswer)),
            (
                requester,
                query("3", "s1", activate),
                Some(Step::Activation),
            ),
            (responder, result("3"), Some(Step::ActivationAnswer)),
        ] {
            assert_eq!(observed(&mut observer, role, &stanza), step, "{stanza}");
        }
    }

    #[test]
    fn what_is_about_something_else_is_no_step() {
        let mut observer = Observer::default();
        for stanza in [
            "<iq xmlns='jabber:client' type='set' id='1'><query xmlns='x'/></iq>",
            "<iq xmlns='jabber:client' type='set' id='2'/>",
            "<r xmlns='urn:xmpp:sm:3'/>",
        ] {
            assert_eq!(observed(&mut observer, Role::Requester, stanza), None);
        }
    }
}
