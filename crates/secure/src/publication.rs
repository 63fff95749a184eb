//! The devices of an account, as its server publishes them to contacts (XEP-0163).
//!
//! ```xml
//! <publish node='urn:x-tubes:devices:0'>
//!   <item id='current'>
//!     <devices xmlns='urn:x-tubes:0'>
//!       <secure key='mC4oGDD0Ffc…='/>
//!     </devices>
//!   </item>
//! </publish>
//! ```
//!
//! One item holds them all: servers send contacts who come online the last one of a node.

use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;
use xmpp_parsers::ns;

use crate::PublicKey;
use crate::element::{NS, ability, key_of};

/// What makes a server tell this account of its contacts' devices, as a feature of disco#info
/// (XEP-0163 §4).
pub const NOTIFY: &str = "urn:x-tubes:devices:0+notify";

/// The question for the devices that an account publishes (XEP-0060 §6.5).
pub fn question() -> Element {
    pubsub(at_node("items"))
}

/// The order to publish these devices of the account, and no others (XEP-0060 §7.1). Of more than
/// may be, the first ones are left out.
pub fn publication(devices: &[PublicKey]) -> Element {
    let surplus = devices.len().saturating_sub(DEVICES);
    let devices = devices.iter().skip(surplus).copied().map(ability);
    let devices = Element::builder(LIST, NS).append_all(devices);
    let item = Element::builder("item", ns::PUBSUB)
        .attr(xml_ncname!("id").into(), "current")
        .append(devices);
    pubsub(at_node("publish").append(item))
}

/// The devices in the answer to the [`question`].
pub fn answered(pubsub: &Element) -> Vec<PublicKey> {
    let items = pubsub.get_child("items", ns::PUBSUB);
    items.and_then(listed).unwrap_or_default()
}

/// The devices that an account publishes from now on, if that is what the event is about
/// (XEP-0060 §7.1.2.1); none if it takes the list away (§7.2.2.1, §8.4.2, §8.5.2).
pub fn announced(event: &Element) -> Option<Vec<PublicKey>> {
    if !event.is("event", ns::PUBSUB_EVENT) {
        return None;
    }
    let about = |what: &&Element| what.attr("node") == Some(NODE);
    let what = event.children().find(about)?;
    match what.name() {
        "items" if what.children().any(|item| item.name() == "retract") => Some(Vec::new()),
        "items" => listed(what),
        "delete" | "purge" => Some(Vec::new()),
        _ => None,
    }
}

/// What is in the last item that there is. What makes no sense is passed over: nothing is trusted
/// for it.
fn listed(items: &Element) -> Option<Vec<PublicKey>> {
    if items.attr("node") != Some(NODE) {
        return None;
    }
    let list = items.children().filter(|item| item.name() == "item");
    let list = list.last()?.get_child(LIST, NS)?;
    let devices = list.children().take(DEVICES);
    let mut keys = Vec::new();
    for device in devices {
        if let Ok(Some(key)) = key_of(std::slice::from_ref(device))
            && !keys.contains(&key)
        {
            keys.push(key);
        }
    }
    Some(keys)
}

fn at_node(name: &str) -> xmpp_parsers::minidom::ElementBuilder {
    Element::builder(name, ns::PUBSUB).attr(xml_ncname!("node").into(), NODE)
}

fn pubsub(order: xmpp_parsers::minidom::ElementBuilder) -> Element {
    Element::builder("pubsub", ns::PUBSUB).append(order).build()
}

/// Where they are published.
const NODE: &str = "urn:x-tubes:devices:0";

/// The name of the element that holds them.
const LIST: &str = "devices";

/// Devices of one account: more than people have, and few enough to be read by every contact.
pub(crate) const DEVICES: usize = 16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn key(byte: u8) -> PublicKey {
        PublicKey::from([byte; 32])
    }

    fn event(item: &str) -> Element {
        let event = format!(
            "<event xmlns='{}'><items node='{NODE}'>{item}</items></event>",
            ns::PUBSUB_EVENT
        );
        event.parse().unwrap()
    }

    /// As the server turns it around.
    fn turned(order: &Element) -> Element {
        let text = String::from(order);
        let text = text.replace("<publish ", "<items ");
        text.replace("</publish>", "</items>").parse().unwrap()
    }

    #[test]
    fn what_is_published_is_read_again() {
        let devices = [key(1), key(2)];
        let items = turned(&publication(&devices));
        assert_eq!(answered(&items), devices);
        let items = String::from(items.get_child("items", ns::PUBSUB).unwrap());
        let items = items.replace(ns::PUBSUB, ns::PUBSUB_EVENT);
        let event = format!("<event xmlns='{}'>{items}</event>", ns::PUBSUB_EVENT);
        assert_eq!(announced(&event.parse().unwrap()).unwrap(), devices);
    }

    #[test]
    fn the_oldest_of_too_many_make_room() {
        let many: Vec<_> = (0..20).map(key).collect();
        let published = answered(&turned(&publication(&many)));
        assert_eq!(published, many.get(4..).unwrap());
    }

    #[test]
    fn what_is_about_something_else_is_no_list() {
        for other in [
            "<event xmlns='http://jabber.org/protocol/pubsub#event'/>".to_owned(),
            "<other xmlns='urn:example:other'/>".to_owned(),
            String::from(&event("<item/>")),
            String::from(&event("<item><devices xmlns='x'/></item>")).replace(NODE, "other"),
        ] {
            assert_eq!(announced(&other.parse().unwrap()), None, "{other}");
        }
    }

    #[test]
    fn a_list_that_is_taken_away_is_empty() {
        let retracted = event("<retract id='current'/>");
        let of = |what: &str| {
            let event = format!(
                "<event xmlns='{}'><{what} node='{NODE}'/></event>",
                ns::PUBSUB_EVENT
            );
            event.parse().unwrap()
        };
        for event in [retracted, of("delete"), of("purge")] {
            assert_eq!(announced(&event), Some(Vec::new()));
        }
        assert_eq!(announced(&of("configuration")), None);
    }

    #[test]
    fn what_makes_no_sense_in_a_list_is_passed_over() {
        let good = String::from(&ability(key(1)));
        let list = format!(
            "<item><devices xmlns='{NS}'>{good}<secure/><secure key='AAAA'/><other/>{good}</devices></item>"
        );
        assert_eq!(announced(&event(&list)), Some(vec![key(1)]));
        let empty = format!("<item><devices xmlns='{NS}'/></item>");
        assert_eq!(announced(&event(&empty)), Some(Vec::new()));
    }
}
