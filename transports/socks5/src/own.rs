//! The addresses under which this machine may be reached.

use std::net::{IpAddr, Ipv6Addr};

use if_addrs::{IfOperStatus, Interface};

/// Whether the loopback addresses are told to peers, and dialled for them.
///
/// ```
/// use tubes_socks5::{Loopback, Socks5};
///
/// // For contacts on the same machine.
/// let socks5 = Socks5::new().with_loopback(Loopback::Always);
/// assert!(socks5.told_addresses().contains(&"127.0.0.1".to_owned()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loopback {
    /// Only while the machine has no other address.
    #[default]
    WhenAlone,
    /// Always, behind the others: for peers on the same machine.
    Always,
}

/// The machine's addresses, best first.
pub(crate) fn addresses(loopback: Loopback) -> Vec<IpAddr> {
    // Without the list there is nothing to tell but what the user named.
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let up = interfaces.iter().filter(|interface| !is_down(interface));
    choose(up.map(Interface::ip), loopback)
}

/// Whether the interface is known to lead nowhere, as a bridge without ends does. Of many that work,
/// such as tunnels, the kernel does not know.
fn is_down(interface: &Interface) -> bool {
    matches!(
        interface.oper_status,
        IfOperStatus::Down | IfOperStatus::NotPresent
    )
}

/// Whether a peer may have loopback addresses dialled.
pub(crate) fn dials_loopback(loopback: Loopback) -> bool {
    addresses(loopback).iter().any(IpAddr::is_loopback)
}

/// Of all addresses those worth telling, best first: IPv6 before IPv4, each with those first that
/// can be reached from afar.
fn choose(all: impl IntoIterator<Item = IpAddr>, loopback: Loopback) -> Vec<IpAddr> {
    let (mut own, mut outer) = (Vec::new(), Vec::new());
    for address in all {
        match address.is_loopback() {
            true => own.push(address),
            false if is_told(address) => outer.push(address),
            false => {}
        }
    }
    outer.sort_by_key(|address| rank(*address));
    outer.dedup();
    if loopback == Loopback::Always || outer.is_empty() {
        own.sort();
        outer.extend(own.into_iter().rev());
    }
    outer
}

fn is_told(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified() && !v4.is_multicast(),
        IpAddr::V6(v6) => !is_link_local(v6) && !v6.is_unspecified() && !v6.is_multicast(),
    }
}

fn rank(address: IpAddr) -> u8 {
    match address {
        IpAddr::V6(v6) if !is_unique_local(v6) => 0,
        IpAddr::V6(_) => 1,
        IpAddr::V4(v4) if !v4.is_private() => 2,
        IpAddr::V4(_) => 3,
    }
}

/// fe80::/10 (RFC 4291 §2.5.6): means nothing beyond its link.
pub(crate) fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

/// fc00::/7 (RFC 4193 §3.1).
fn is_unique_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xfe00 == 0xfc00
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "this is a test")]

    use super::*;

    fn chosen(all: &[&str], loopback: Loopback) -> Vec<String> {
        let all = all.iter().map(|address| address.parse().unwrap());
        let chosen = choose(all, loopback).into_iter();
        chosen.map(|address| address.to_string()).collect()
    }

    #[test]
    fn what_reaches_far_comes_first() {
        let all = [
            "127.0.0.1",
            "::1",
            "192.168.1.2",
            "203.0.113.7",
            "fd00::2",
            "fe80::1",
            "169.254.3.4",
            "2001:db8::1",
        ];
        let best_first = ["2001:db8::1", "fd00::2", "203.0.113.7", "192.168.1.2"];
        assert_eq!(chosen(&all, Loopback::WhenAlone), best_first);
        let told = chosen(&all, Loopback::Always);
        assert_eq!(told, [&best_first[..], &["::1", "127.0.0.1"]].concat());
    }

    #[test]
    fn a_machine_without_a_network_still_reaches_itself() {
        let alone = chosen(&["127.0.0.1", "::1", "fe80::1"], Loopback::WhenAlone);
        assert_eq!(alone, ["::1", "127.0.0.1"]);
    }
}
