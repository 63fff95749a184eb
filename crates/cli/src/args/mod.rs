//! The command line, as users type it.

mod bounds;
mod commands;
mod files;
mod party;
mod values;

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};
use tubes::Jid;

pub(crate) use self::commands::{
    Accept, Completions, Connect, Demo, Discover, Man, NamedDevice, Offer, Trust, TrustCommand,
};
pub(crate) use self::files::{Receive, Send};
pub(crate) use self::party::{Party, Room};
use self::values::parse_jid;
pub(crate) use self::values::{Encryption, Format, Proxy, Server, Tls, Transport};

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

    /// Where the password is; otherwise the configuration file, the keyring, or a
    /// prompt on a terminal
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

    /// The ways to carry the bytes, best first; default: socks5-direct,socks5-proxy,ibb
    #[arg(long, global = true, value_name = "LIST", value_delimiter = ',')]
    pub(crate) transports: Option<Vec<Transport>>,

    /// Wait for direct connections on this TCP port instead of any; for a firewall that lets it
    /// through
    #[arg(long, global = true, value_name = "PORT")]
    pub(crate) socks5_port: Option<u16>,

    /// Tell contacts this address, too, for direct connections: of a router that forwards the
    /// port; may be given several times
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub(crate) socks5_address: Vec<Server>,

    /// Use this SOCKS5 proxy, too, beside those of the own server; may be given several times
    #[arg(long, global = true, value_name = "JID")]
    pub(crate) socks5_proxy: Vec<Proxy>,

    /// Let no contact learn the addresses of this machine: no direct connections
    #[arg(long, global = true)]
    pub(crate) hide_addresses: bool,

    /// Whether connections are encrypted from end to end; default: required
    #[arg(long, global = true, value_name = "WHEN")]
    pub(crate) encryption: Option<Encryption>,

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

    /// Log errors only; what is said on standard output stays
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try everything out on this machine: a server, two accounts, a service used through a tube
    Demo(Demo),
    /// Share the service that listens at an address, or a command, with a contact, or with a chat room
    Offer(Offer),
    /// Accept the tube that a contact, or somebody in a chat room, offers, and listen for the
    /// programs that use it
    Accept(Accept),
    /// Connect standard input and output to a contact's tube, once
    Connect(Connect),
    /// List which of a contact's programs are online, and what each can do
    Discover(Discover),
    /// Send files, or folders, to a contact; ends when it has them
    Send(Send),
    /// Receive the files that contacts send
    Receive(Receive),
    /// Log in and say in plain words what works, and how well
    Doctor,
    /// Show and decide whose keys are trusted; works without a connection
    Trust(Trust),
    /// Print completions of this command line for a shell
    Completions(Completions),
    /// Print the manual page, or write one for each command
    Man(Man),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
