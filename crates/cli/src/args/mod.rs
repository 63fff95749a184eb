//! The command line, as users type it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use tubes::{Access, Address, TransportName};
use tubes::{BareJid, Jid};

use crate::parameter::Parameter;

/// Share a local service with a contact over XMPP.
#[derive(Debug, Parser)]
#[command(name = "tubes", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The options that every command understands.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The account; a resource in it is asked for, else a random one is made
    #[arg(long, global = true, value_name = "JID", env = "TUBES_ACCOUNT", value_parser = parse_jid)]
    pub(crate) account: Option<Jid>,

    /// Where the password is; otherwise the configuration file, or a prompt on a terminal
    #[arg(long, global = true, value_name = "PATH", env = "TUBES_PASSWORD_FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// The XMPP server; default: what DNS says about the account's domain
    #[arg(long, global = true, value_name = "HOST:PORT", env = "TUBES_SERVER")]
    pub(crate) server: Option<Server>,

    /// How to encrypt the connection to the server; default: what DNS says, else starttls.
    /// `none` is for servers on this machine
    #[arg(long, global = true, value_name = "KIND")]
    pub(crate) tls: Option<Tls>,

    /// Trust this certificate authority in addition to the system's
    #[arg(long, global = true, value_name = "PEM")]
    pub(crate) ca_file: Option<PathBuf>,

    /// The ways to carry the bytes, best first; default: all
    #[arg(long, global = true, value_name = "LIST", value_delimiter = ',')]
    pub(crate) transports: Option<Vec<Transport>>,

    /// Leave the roster alone: neither ask for presence nor grant it
    #[arg(long, global = true)]
    pub(crate) no_subscribe: bool,

    /// What standard output is for
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    pub(crate) output: Format,

    /// The configuration file; default: tubes/config.toml where configurations are kept
    #[arg(long, global = true, value_name = "PATH", env = "TUBES_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Say more on standard error; twice: everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Say only what failed
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try everything out on this machine: a server, two accounts, a service used through a tube
    Demo(Demo),
    /// Share the service that listens at an address
    Offer(Offer),
    /// Accept the tube that a contact offers, and listen for the programs that use it
    Accept(Accept),
    /// Connect standard input and output to a contact's tube, once
    Connect(Connect),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// How much to send each way through the tube
    #[arg(long, value_name = "BYTES", default_value_t = 16 * 1024 * 1024, value_parser = clap::value_parser!(u64).range(1..=LARGEST_DEMO))]
    pub(crate) size: u64,

    /// The XMPP server to start: embedded, prosody or ejabberd
    #[arg(long, value_name = "KIND", default_value = "embedded")]
    pub(crate) server_kind: tubes_server::ServerKind,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Offer {
    /// Where the service listens: tcp:HOST:PORT, HOST:PORT, unix:PATH, abstract:NAME or -
    pub(crate) address: Address,

    /// The contact to share it with
    #[arg(long, value_name = "JID", value_parser = parse_contact)]
    pub(crate) to: BareJid,

    /// What kind of service it is, for example ssh or http
    #[arg(long, value_name = "NAME", value_parser = parse_service)]
    pub(crate) service: String,

    /// What the contact's programs have to know; TYPE is str (default), bytes, int, uint or bool
    #[arg(long = "param", value_name = "KEY[:TYPE]=VALUE")]
    pub(crate) parameters: Vec<Parameter>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Accept {
    /// The contact whose offer to wait for
    #[arg(long, value_name = "JID", value_parser = parse_contact)]
    pub(crate) from: BareJid,

    /// Accept this kind of service only
    #[arg(long, value_name = "NAME", value_parser = parse_service)]
    pub(crate) service: Option<String>,

    /// Where to listen: tcp:HOST:PORT (port 0: any), HOST:PORT, unix:PATH, abstract:NAME or -
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Address,

    /// Whose programs may connect: localhost, port:N (that source port), credentials (this user)
    #[arg(long, value_name = "WHO", default_value = "localhost")]
    pub(crate) access: Access,

    /// End with the first tube instead of waiting for the next
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Connect {
    /// The contact who offers the tube
    #[arg(value_name = "JID", value_parser = parse_contact)]
    pub(crate) peer: BareJid,

    /// The service to connect to; default: whichever is offered first
    #[arg(value_parser = parse_service)]
    pub(crate) service: Option<String>,
}

/// Where a server is, without asking DNS for its services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
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
}

impl From<Transport> for TransportName {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Ibb => Self::Ibb,
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

fn parse_jid(text: &str) -> Result<Jid, String> {
    let jid = Jid::from_str(text).map_err(|why| not_a_jid(text, &why))?;
    if jid.node().is_none() {
        return Err(format!("`{text}` lacks the name before the @"));
    }
    Ok(jid)
}

/// A contact is a bare JID: which of its resources answers is the contact's business.
fn parse_contact(text: &str) -> Result<BareJid, String> {
    let jid = parse_jid(text)?;
    match jid.resource() {
        Some(resource) => Err(format!("leave /{resource} out: a contact is a bare JID")),
        None => Ok(jid.into_bare()),
    }
}

fn not_a_jid(text: &str, why: &dyn std::fmt::Display) -> String {
    format!("`{text}` is no JID ({why}); it looks like alice@example.org")
}

fn parse_service(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > LONGEST_SERVICE || text.chars().any(char::is_control) {
        return Err(format!(
            "a service has a name of 1 to {LONGEST_SERVICE} bytes, for example ssh"
        ));
    }
    Ok(text.to_owned())
}

/// How long `tubes connect` waits for an offer.
pub(crate) const CONNECT_PATIENCE: Duration = Duration::from_secs(30);

/// A service's name becomes part of a disco feature and of every offer. In bytes.
const LONGEST_SERVICE: usize = 255;

/// A demo of a tebibyte in-band would run for a week; more is a slip of the finger. In bytes.
const LARGEST_DEMO: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

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
