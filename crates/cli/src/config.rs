//! The configuration file, and what it and the command line say together.
//!
//! ```toml
//! [account."alice@example.org"]
//! password-file = "alice.password"    # beside this file
//! server = "xmpp.example.org:5222"
//!
//! [account."alice@example.org".contact."fernand@example.net"]
//! hide-addresses = true
//! encryption = "preferred"
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tubes::socks5::Reveal;
use tubes::{BareJid, Jid};
use zeroize::Zeroizing;

use crate::args::{Encryption, Global, Proxy, Server, Tls, Transport};
use crate::exit::Stop;
use crate::password;

/// Everything there is to know before logging in.
pub(crate) struct Profile {
    pub(crate) jid: Jid,
    pub(crate) password: Zeroizing<String>,
    pub(crate) server: Option<Server>,
    pub(crate) tls: Option<Tls>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) transports: Option<Vec<Transport>>,
    pub(crate) direct: Direct,
    pub(crate) encryption: Encryption,
    pub(crate) encryption_with: Vec<(BareJid, Encryption)>,
}

/// What there is to say about direct connections and proxies.
#[derive(Default)]
pub(crate) struct Direct {
    pub(crate) port: Option<u16>,
    pub(crate) addresses: Vec<Server>,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) reveal: Reveal,
}

impl Profile {
    /// Puts the command line over the configuration; asks for the password if neither has it.
    pub(crate) fn resolve(global: &Global) -> Result<Self, Stop> {
        let mut config = match &global.config {
            Some(path) => Config::read(path)?,
            None => Config::at_the_usual_place()?,
        };
        let jid = match &global.account {
            Some(jid) => jid.clone(),
            None => config.only_account()?,
        };
        let bare = jid.to_bare();
        let settings = config.accounts.remove(&bare).unwrap_or_default();
        let password_file = global
            .password_file
            .clone()
            .or_else(|| settings.password_file.map(|path| config.folder.join(path)));
        let password = match (password_file, settings.password) {
            (Some(_), Some(_)) if global.password_file.is_none() => {
                return Err(Stop::Usage(format!(
                    "the configuration gives {bare} both a password and a password-file: keep one"
                )));
            }
            (Some(path), _) => password::from_file(&path)?,
            (None, Some(password)) => password,
            (None, None) => match from_keyring(&bare)? {
                Some(password) => password,
                None => password::from_prompt(bare.as_str())?,
            },
        };
        let contacts = contacts(settings.contact)?;
        let encryption = global.encryption.or(settings.encryption);
        Ok(Self {
            jid,
            password: password.into(),
            server: global.server.clone().or(settings.server),
            tls: global.tls.or(settings.tls),
            ca_file: global
                .ca_file
                .clone()
                .or_else(|| settings.ca_file.map(|path| config.folder.join(path))),
            transports: global.transports.clone().or(settings.transports),
            direct: Direct {
                port: global.socks5_port.or(settings.socks5_port),
                addresses: either(&global.socks5_address, settings.socks5_address),
                proxies: either(&global.socks5_proxy, settings.socks5_proxy),
                reveal: match global.hide_addresses || settings.hide_addresses {
                    true => Reveal::ToNobody,
                    false => Reveal::ToAllBut(hidden_from(&contacts)),
                },
            },
            encryption: encryption.unwrap_or(Encryption::Required),
            encryption_with: encryption_with(&contacts, global.encryption),
        })
    }
}

/// The account that the command line names, or else the only one of the configuration.
pub(crate) fn account(global: &Global) -> Result<BareJid, Stop> {
    if let Some(jid) = &global.account {
        return Ok(jid.to_bare());
    }
    let config = match &global.config {
        Some(path) => Config::read(path)?,
        None => Config::at_the_usual_place()?,
    };
    Ok(config.only_account()?.to_bare())
}

/// What the command line says, or else the configuration.
fn either<T: Clone>(options: &[T], settings: Vec<T>) -> Vec<T> {
    match options {
        [] => settings,
        options => options.to_vec(),
    }
}

fn contacts(named: BTreeMap<String, Contact>) -> Result<BTreeMap<BareJid, Contact>, Stop> {
    let named = named.into_iter();
    named
        .map(|(name, contact)| match BareJid::new(&name) {
            Ok(jid) => Ok((jid, contact)),
            Err(why) => Err(Stop::Usage(format!(
                "contact.\"{name}\" in the configuration is no JID: {why}"
            ))),
        })
        .collect()
}

fn hidden_from(contacts: &BTreeMap<BareJid, Contact>) -> BTreeSet<BareJid> {
    let hidden = contacts.iter().filter(|(_, of)| of.hide_addresses);
    hidden.map(|(jid, _)| jid.clone()).collect()
}

/// What is said of single contacts. The command line can demand more of them, and not less: it is said
/// with one contact in mind, and holds for all.
fn encryption_with(
    contacts: &BTreeMap<BareJid, Contact>,
    of_all: Option<Encryption>,
) -> Vec<(BareJid, Encryption)> {
    let other = |(jid, of): (&BareJid, &Contact)| {
        let own = of.encryption?;
        let stricter = of_all.map_or(own, |all| own.max(all));
        Some((jid.clone(), stricter))
    };
    contacts.iter().filter_map(other).collect()
}

#[cfg(feature = "keyring")]
fn from_keyring(account: &BareJid) -> Result<Option<String>, Stop> {
    crate::keyring::password(account)
}

/// Built without one.
#[cfg(not(feature = "keyring"))]
fn from_keyring(_: &BareJid) -> Result<Option<String>, Stop> {
    Ok(None)
}

/// A configuration file that was read.
#[derive(Default)]
struct Config {
    accounts: BTreeMap<BareJid, Settings>,
    /// What relative paths in it start from.
    folder: PathBuf,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    account: BTreeMap<String, Settings>,
}

/// What it says of one account; the names are those of the options.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    password: Option<String>,
    password_file: Option<PathBuf>,
    server: Option<Server>,
    tls: Option<Tls>,
    ca_file: Option<PathBuf>,
    transports: Option<Vec<Transport>>,
    socks5_port: Option<u16>,
    #[serde(default)]
    socks5_address: Vec<Server>,
    #[serde(default)]
    socks5_proxy: Vec<Proxy>,
    #[serde(default)]
    hide_addresses: bool,
    encryption: Option<Encryption>,
    #[serde(default)]
    contact: BTreeMap<String, Contact>,
}

/// What it says of one contact of an account.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Contact {
    encryption: Option<Encryption>,
    #[serde(default)]
    hide_addresses: bool,
}

impl Config {
    fn at_the_usual_place() -> Result<Self, Stop> {
        let Some(folders) = directories::BaseDirs::new() else {
            return Ok(Self::default());
        };
        let path = folders.config_dir().join("tubes/config.toml");
        match fs::exists(&path) {
            Ok(false) => Ok(Self::default()),
            Ok(true) | Err(_) => Self::read(&path),
        }
    }

    fn read(path: &Path) -> Result<Self, Stop> {
        let complain = |why: String| {
            Stop::Usage(format!(
                "cannot use the configuration {}: {why}",
                path.display()
            ))
        };
        let text = fs::read_to_string(path).map_err(|why| complain(why.to_string()))?;
        let config = Self::parse(&text, path.parent()).map_err(complain)?;
        if config.accounts.values().any(|one| one.password.is_some()) {
            warn_if_readable_by_others(path).map_err(|why| complain(why.to_string()))?;
        }
        Ok(config)
    }

    fn parse(text: &str, folder: Option<&Path>) -> Result<Self, String> {
        let written: Written = toml::from_str(text).map_err(|why| {
            // The error's own text quotes the line, which may hold a password.
            let line = why
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.matches('\n').count() + 1);
            // So may its message, where a value is of the wrong type.
            let message = why.message();
            match message.split_once("invalid type: ") {
                Some((_, found)) => {
                    let wanted = found
                        .rsplit_once("expected ")
                        .map_or("another", |(_, it)| it);
                    format!("line {line}: a value of the wrong type: wanted is {wanted}")
                }
                None => format!("line {line}: {message}"),
            }
        })?;
        let accounts = written
            .account
            .into_iter()
            .map(|(name, settings)| match BareJid::new(&name) {
                Ok(jid) => Ok((jid, settings)),
                Err(why) => Err(format!("[account.\"{name}\"] names no account: {why}")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            accounts,
            folder: folder.map(Path::to_owned).unwrap_or_default(),
        })
    }

    fn only_account(&self) -> Result<Jid, Stop> {
        let mut accounts = self.accounts.keys();
        match (accounts.next(), accounts.next()) {
            (Some(only), None) => Ok(only.clone().into()),
            (Some(_), Some(_)) => Err(Stop::Usage(
                "the configuration has several accounts: choose one with --account".to_owned(),
            )),
            (None, _) => Err(Stop::Usage(
                "no account: name it with --account, such as --account alice@example.org"
                    .to_owned(),
            )),
        }
    }
}

fn warn_if_readable_by_others(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            "the configuration holds a password and other users can read it: chmod 600"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
