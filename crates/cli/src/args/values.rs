//! What stands behind the options, and how it is read.

use std::str::FromStr;

use clap::ValueEnum;
use tubes::secure::PublicKey;
use tubes::{BareJid, Jid, ResourcePart, TransportName};

/// Where a server is, without asking DNS for its services.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl TryFrom<String> for Server {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is not HOST:PORT, for example xmpp.example.org:5222");
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.strip_suffix(']').ok_or_else(expected)?,
            None if host.contains(':') => {
                return Err(format!(
                    "put the IPv6 address into brackets: [{host}]:{port}"
                ));
            }
            None => host,
        };
        match port.parse() {
            Ok(port) if port > 0 && !host.is_empty() => Ok(Self {
                host: host.to_owned(),
                port,
            }),
            _ => Err(expected()),
        }
    }
}

/// A SOCKS5 proxy, by the name that it has in XMPP.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Proxy(pub(crate) Jid);

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Jid::from_str(text).map(Self).map_err(|why| {
            format!("`{text}` is no JID ({why}); a proxy's looks like proxy.example.org")
        })
    }
}

impl TryFrom<String> for Proxy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// How the connection to the server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tls {
    /// From the first byte on
    Direct,
    /// After asking for it
    Starttls,
    /// Not at all; refused unless the server is on this machine
    None,
}

/// A way to carry bytestreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    /// Through the XMPP server, as XEP-0047 has it
    Ibb,
    /// A TCP connection between the two sides, as XEP-0065 has it
    Socks5Direct,
    /// A TCP connection through a proxy
    Socks5Proxy,
}

impl From<Transport> for TransportName {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Ibb => Self::Ibb,
            Transport::Socks5Direct => Self::Socks5Direct,
            Transport::Socks5Proxy => Self::Socks5Proxy,
        }
    }
}

/// Whether connections are encrypted from end to end; the stricter is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encryption {
    /// Never
    Off,
    /// With whoever can; with a contact that once did, or publishes a key, always
    Preferred,
    /// Always: who cannot is refused
    Required,
}

impl From<Encryption> for tubes::Encryption {
    fn from(encryption: Encryption) -> Self {
        match encryption {
            Encryption::Required => Self::Required,
            Encryption::Preferred => Self::Preferred,
            Encryption::Off => Self::Off,
        }
    }
}

/// What standard output is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Sentences
    Human,
    /// One event object per line, and nothing else
    Json,
}

pub(super) fn parse_key(text: &str) -> Result<PublicKey, String> {
    PublicKey::of_fingerprint(text)
        .map_err(|_| format!("`{text}` is no whole key: it has 64 digits, 0 to 9 and a to f"))
}

pub(super) fn parse_jid(text: &str) -> Result<Jid, String> {
    let jid = Jid::from_str(text).map_err(|why| not_a_jid(text, &why))?;
    if jid.node().is_none() {
        return Err(format!("`{text}` lacks the name before the @"));
    }
    Ok(jid)
}

/// A contact is a bare JID: which of its resources answers is the contact's business.
pub(super) fn parse_contact(text: &str) -> Result<BareJid, String> {
    let jid = parse_jid(text)?;
    match jid.resource() {
        Some(resource) => Err(format!("leave /{resource} out: a contact is a bare JID")),
        None => Ok(jid.into_bare()),
    }
}

/// A room is a bare JID, too; the name there is an option of its own.
pub(super) fn parse_room(text: &str) -> Result<BareJid, String> {
    let jid = parse_jid(text)?;
    match jid.resource() {
        Some(nick) => Err(format!("leave /{nick} out, and write --nick {nick}")),
        None => Ok(jid.into_bare()),
    }
}

pub(super) fn parse_nick(text: &str) -> Result<String, String> {
    match ResourcePart::new(text) {
        Ok(nick) => Ok(nick.to_string()),
        Err(why) => Err(format!("nobody can go by `{text}` in a room: {why}")),
    }
}

fn not_a_jid(text: &str, why: &dyn std::fmt::Display) -> String {
    format!("`{text}` is no JID ({why}); it looks like alice@example.org")
}

pub(super) fn parse_service(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > LONGEST_SERVICE || text.chars().any(char::is_control) {
        return Err(format!(
            "a service has a name of 1 to {LONGEST_SERVICE} bytes, for example ssh"
        ));
    }
    Ok(text.to_owned())
}

/// A service's name becomes part of a disco feature and of every offer. In bytes.
const LONGEST_SERVICE: usize = 255;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        let server: Server = "xmpp.example.org:5222".parse().unwrap();
        assert_eq!(
            (server.host.as_str(), server.port),
            ("xmpp.example.org", 5222)
        );
        let server: Server = "[::1]:5222".parse().unwrap();
        assert_eq!((server.host.as_str(), server.port), ("::1", 5222));
    }

    #[test]
    fn a_server_without_a_usable_port_is_refused_with_an_example() {
        for wrong in [
            "example.org",
            "example.org:",
            "example.org:0",
            "example.org:65536",
            ":5222",
        ] {
            let why = Server::from_str(wrong).unwrap_err();
            assert!(why.contains("example.org:5222"), "{wrong}: {why}");
        }
    }

    #[test]
    fn an_ipv6_server_without_brackets_is_told_about_them() {
        assert!(
            Server::from_str("::1:5222")
                .unwrap_err()
                .contains("[::1]:5222")
        );
    }

    #[test]
    fn a_contact_has_a_name_and_no_resource() {
        assert!(parse_contact("fernand@example.org").is_ok());
        assert!(parse_contact("example.org").unwrap_err().contains('@'));
        assert!(
            parse_contact("fernand@example.org/home")
                .unwrap_err()
                .contains("/home")
        );
        assert!(
            parse_contact("fernand@")
                .unwrap_err()
                .contains("alice@example.org")
        );
    }

    #[test]
    fn a_service_has_a_name() {
        assert!(parse_service("ssh").is_ok());
        assert!(parse_service("").is_err());
        assert!(parse_service("a\nb").is_err());
        assert!(parse_service(&"x".repeat(256)).is_err());
    }
}
