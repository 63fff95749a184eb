//! The commands, and what each of them understands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Subcommand;
use tubes::local::{Group, Mode, User};
use tubes::secure::PublicKey;
use tubes::{Access, Address, BareJid};

use super::bounds::Bounds;
use super::party::{From, To};
use super::values::{parse_contact, parse_key, parse_service};
use crate::parameter::Parameter;

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
    #[arg(required_unless_present = "exec")]
    pub(crate) address: Option<Address>,

    /// Run this command for each connection instead, as inetd does: `sh -c COMMAND`, whose standard
    /// input and output are the connection; TUBES_PEER in its environment is who connects
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["address", "proxy_protocol"])]
    pub(crate) exec: Option<OsString>,

    /// Tell the service who connects, by a header of the PROXY protocol (version 2) in front of each
    /// connection: the full JID is in its field 0xE0
    #[arg(long)]
    pub(crate) proxy_protocol: bool,

    #[command(flatten)]
    pub(crate) to: To,

    /// What kind of service it is, for example ssh or http
    #[arg(long, value_name = "NAME", value_parser = parse_service)]
    pub(crate) service: String,

    /// What the contact's programs have to know; TYPE is str (default), bytes, int, uint or bool
    #[arg(long = "param", value_name = "KEY[:TYPE]=VALUE")]
    pub(crate) parameters: Vec<Parameter>,

    #[command(flatten)]
    pub(crate) bounds: Bounds,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Accept {
    #[command(flatten)]
    pub(crate) from: From,

    /// Accept this kind of service only
    #[arg(long, value_name = "NAME", value_parser = parse_service)]
    pub(crate) service: Option<String>,

    /// Where to listen: tcp:HOST:PORT (port 0: any), HOST:PORT, unix:PATH, abstract:NAME or -
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Address,

    /// Whose programs may connect: localhost, port:N (that source port), credentials (this user)
    #[arg(long, value_name = "WHO", default_value = "localhost")]
    pub(crate) access: Access,

    /// Give the socket's file to this user, as root may: a name in /etc/passwd or a number
    #[arg(long, value_name = "USER")]
    pub(crate) owner: Option<User>,

    /// Let programs of this group connect, too: a name in /etc/group or a number, for unix:PATH
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<Group>,

    /// The mode of the socket's file, for unix:PATH; default: 0600, with --group 0660
    #[arg(long, value_name = "MODE")]
    pub(crate) mode: Option<Mode>,

    /// End with the first tube instead of waiting for the next
    #[arg(long)]
    pub(crate) once: bool,

    #[command(flatten)]
    pub(crate) bounds: Bounds,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Connect {
    /// The contact who offers the tube
    #[arg(value_name = "JID", value_parser = parse_contact)]
    pub(crate) peer: BareJid,

    /// The service to connect to; default: whichever is offered first
    #[arg(value_parser = parse_service)]
    pub(crate) service: Option<String>,

    /// How long to wait for an offer once online, in seconds; longer where the server is slow
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) wait: u32,

    #[command(flatten)]
    pub(crate) bounds: Bounds,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Discover {
    /// The contact to look at
    #[arg(value_name = "JID", value_parser = parse_contact)]
    pub(crate) peer: BareJid,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell: bash, elvish, fish, powershell or zsh
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Write tubes.1 and a page for each command into this folder instead
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,
}

/// A demo of a tebibyte in-band would run for a week; more is a slip of the finger. In bytes.
const LARGEST_DEMO: u64 = 1 << 40;

/// Whose keys are trusted.
#[derive(Debug, clap::Args)]
pub(crate) struct Trust {
    #[command(subcommand)]
    pub(crate) command: TrustCommand,
}

/// What to do about keys.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// List this device's key, and those of contacts
    List {
        /// Only those of this contact
        #[arg(value_name = "JID", value_parser = parse_contact)]
        contact: Option<BareJid>,
    },
    /// Show the number that both sides have to see; ask whether it is so
    Verify {
        #[command(flatten)]
        device: NamedDevice,
        /// It was compared, and is the same: do not ask
        #[arg(long)]
        same: bool,
    },
    /// Trust a device that was refused, or one that was revoked
    Accept {
        /// The contact
        #[arg(value_name = "JID", value_parser = parse_contact)]
        contact: BareJid,
        /// Its whole key, as the contact's own `tubes trust list` shows it
        #[arg(value_name = "KEY", value_parser = parse_key)]
        key: PublicKey,
    },
    /// Refuse a device from now on: it was lost, or is in wrong hands
    Revoke(NamedDevice),
}

/// A device of a contact's.
#[derive(Debug, clap::Args)]
pub(crate) struct NamedDevice {
    /// Whose
    #[arg(value_name = "JID", value_parser = parse_contact)]
    pub(crate) contact: BareJid,
    /// Its key, or as much of the beginning as is needed (with --same all of it); none, if it is the only one
    #[arg(value_name = "KEY", default_value = "")]
    pub(crate) key: String,
}
