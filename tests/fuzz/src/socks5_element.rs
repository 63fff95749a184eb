//! What peers and proxies say of SOCKS5 bytestreams in stanzas.

use std::slice::from_ref;

use tubes_socks5::{NS, Query, Streamhost, Used, streamhosts};
use xmpp_parsers::minidom::Element;

use crate::xml::{element, through_text};

/// Reads an element as a list of hosts, as a query, and as an answer to one: what was read is
/// within its bounds, was said, and is written as something that reads the same.
pub fn socks5_element(data: &[u8]) {
    let Some(element) = element(data) else { return };
    let hosts = streamhosts(&element);
    assert!(hosts.len() <= 16);
    let mut said = element.children();
    for host in &hosts {
        assert!(
            said.any(|child| says(child, host)),
            "{host:?} is made up, or out of order"
        );
        let list = Element::builder("query", NS).append(host.to_element());
        let written = through_text(&list.build());
        assert_eq!(streamhosts(&written), from_ref(host));
    }
    query(&element, &hosts);
    answer(&element);
}

/// Whether an element says this of a host that can be used.
fn says(element: &Element, host: &Streamhost) -> bool {
    let port = element.attr("port").and_then(|port| port.parse().ok());
    let jid = element.attr("jid").map(str::parse);
    element.is("streamhost", NS)
        && element.attr("zeroconf").is_none()
        && element.attr("host") == Some(&host.host)
        && (1..=255).contains(&host.host.len())
        && host.port > 0
        && port == Some(host.port)
        && jid == Some(Ok(host.jid.clone()))
}

fn query(element: &Element, hosts: &[Streamhost]) {
    let Ok(query) = Query::read(element) else {
        return;
    };
    assert!(element.is("query", NS));
    assert_eq!(element.attr("sid"), Some(query.stream.as_str()));
    assert!(matches!(element.attr("mode"), None | Some("tcp")));
    assert_eq!(query.streamhosts, hosts);
    let digits = query.destination.map(|destination| destination.to_string());
    let said = element.attr("dstaddr").map(str::to_ascii_lowercase);
    assert_eq!(digits, said);
    let written = through_text(&query.to_element());
    assert_eq!(Query::read(&written), Ok(query));
}

fn answer(element: &Element) {
    let Ok(used) = Used::read(element) else {
        return;
    };
    assert!(element.is("query", NS));
    let written = through_text(&used.to_element());
    assert_eq!(Used::read(&written), Ok(used));
}
