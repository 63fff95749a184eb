//! The configuration file, and what it and the command line say together.
//!
//! ```toml
//! [account."alice@example.org"]
//! password-file = "alice.password"    # beside this file
//! server = "xmpp.example.org:5222"
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use tubes::{BareJid, Jid};

use crate::args::{Global, Server, Tls, Transport};
use crate::exit::Stop;
use crate::password;

/// Everything there is to know before logging in.
pub(crate) struct Profile {
    pub(crate) jid: Jid,
    pub(crate) password: String,
    pub(crate) server: Option<Server>,
    pub(crate) tls: Option<Tls>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) transports: Option<Vec<Transport>>,
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
        Ok(Self {
            jid,
            password,
            server: global.server.clone().or(settings.server),
            tls: global.tls.or(settings.tls),
            ca_file: global
                .ca_file
                .clone()
                .or_else(|| settings.ca_file.map(|path| config.folder.join(path))),
            transports: global.transports.clone().or(settings.transports),
        })
    }
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
    #[serde(default, deserialize_with = "server")]
    server: Option<Server>,
    tls: Option<Tls>,
    ca_file: Option<PathBuf>,
    transports: Option<Vec<Transport>>,
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

fn server<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Server>, D::Error> {
    let text = String::deserialize(from)?;
    Server::from_str(&text)
        .map(Some)
        .map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use clap::Parser;

    use super::*;
    use crate::args::Args;

    const BOTH: &str = "\
        [account.\"alice@example.org\"]\n\
        password = \"secret\"\n\
        server = \"[::1]:5222\"\n\
        tls = \"none\"\n\
        transports = [\"ibb\"]\n\
        [account.\"fernand@example.org\"]\n\
        password-file = \"fernand.password\"\n";

    /// A profile from a configuration file and a command line.
    fn resolve(config: &str, options: &[&str]) -> Result<Profile, Stop> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, config).unwrap();
        fs::write(folder.path().join("fernand.password"), "other\n").unwrap();
        let line = ["tubes", "--config", path.to_str().unwrap()]
            .into_iter()
            .chain(options.iter().copied())
            .chain(["demo"]);
        Profile::resolve(&Args::try_parse_from(line).unwrap().global)
    }

    fn complaint(config: &str, options: &[&str]) -> String {
        match resolve(config, options) {
            Ok(_) => "none".to_owned(),
            Err(stop) => {
                assert_eq!(stop.code(), 2);
                stop.to_string()
            }
        }
    }

    #[test]
    fn an_account_brings_its_settings() {
        let profile = resolve(BOTH, &["--account", "alice@example.org/laptop"]).unwrap();
        assert_eq!(profile.jid.to_string(), "alice@example.org/laptop");
        assert_eq!(profile.password, "secret");
        assert_eq!(profile.server.unwrap().host, "::1");
        assert_eq!(profile.tls, Some(Tls::None));
        assert_eq!(profile.transports, Some(vec![Transport::Ibb]));
    }

    #[test]
    fn a_password_of_the_wrong_type_is_not_quoted() {
        let complaint = complaint(
            "[account.\"alice@example.org\"]\npassword = 12345678\n",
            &[],
        );
        assert!(complaint.contains("line 2"), "{complaint}");
        assert!(!complaint.contains("12345678"), "{complaint}");
    }

    #[test]
    fn an_option_goes_before_the_configuration() {
        let options = [
            "--account",
            "alice@example.org",
            "--server",
            "other:1",
            "--tls",
            "direct",
        ];
        let profile = resolve(BOTH, &options).unwrap();
        assert_eq!(profile.server.unwrap().host, "other");
        assert_eq!(profile.tls, Some(Tls::Direct));
    }

    #[test]
    fn a_relative_password_file_stands_beside_the_configuration() {
        let profile = resolve(BOTH, &["--account", "fernand@example.org"]).unwrap();
        assert_eq!(profile.password, "other");
    }

    #[test]
    fn the_only_account_need_not_be_named() {
        let one = "[account.\"alice@example.org\"]\npassword = \"secret\"\n";
        assert_eq!(
            resolve(one, &[]).unwrap().jid.to_string(),
            "alice@example.org"
        );
    }

    #[test]
    fn one_of_several_accounts_has_to_be_named() {
        assert!(complaint(BOTH, &[]).contains("several accounts"));
    }

    #[test]
    fn without_any_account_the_option_is_named() {
        assert!(complaint("", &[]).contains("--account"));
    }

    #[test]
    fn a_misspelt_setting_is_named_with_its_line() {
        let why = complaint(
            "[account.\"alice@example.org\"]\npasword = \"secret\"\n",
            &[],
        );
        assert!(why.contains("line 2") && why.contains("pasword"), "{why}");
    }

    #[test]
    fn a_broken_line_is_not_quoted_for_it_may_hold_a_password() {
        let why = complaint("[account.\"alice@example.org\"]\npassword = hunter2\n", &[]);
        assert!(why.contains("line 2") && !why.contains("hunter2"), "{why}");
    }

    #[test]
    fn an_account_that_is_no_jid_is_an_error() {
        assert!(complaint("[account.\"@\"]\npassword = \"x\"\n", &[]).contains("account.\"@\""));
    }

    #[test]
    fn two_sources_of_one_password_are_an_error() {
        let both = "[account.\"alice@example.org\"]\npassword = \"x\"\npassword-file = \"y\"\n";
        assert!(complaint(both, &[]).contains("keep one"));
    }
}
