//! What the configuration and the command line say together.
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
    assert_eq!(profile.password.as_str(), "secret");
    assert_eq!(profile.server.unwrap().host, "::1");
    assert_eq!(profile.tls, Some(Tls::None));
    assert_eq!(profile.transports, Some(vec![Transport::Ibb]));
}

#[test]
fn addresses_are_hidden_from_everybody_or_from_some() {
    let some = "[account.\"alice@example.org\"]\npassword = \"secret\"\n\
        [account.\"alice@example.org\".contact.\"fernand@example.net\"]\n\
        hide-addresses = true\n";
    let fernand = BareJid::new("fernand@example.net").unwrap();
    let profile = resolve(some, &[]).unwrap();
    assert_eq!(profile.direct.reveal, Reveal::ToAllBut([fernand].into()));
    let profile = resolve(some, &["--hide-addresses"]).unwrap();
    assert_eq!(profile.direct.reveal, Reveal::ToNobody);
}

#[test]
fn a_port_proxies_and_further_addresses_are_options_and_settings() {
    let config = "[account.\"alice@example.org\"]\npassword = \"secret\"\n\
        socks5-port = 4000\nsocks5-address = [\"router.example.org:4001\"]\n\
        socks5-proxy = [\"proxy.example.org\"]\n";
    let direct = resolve(config, &[]).unwrap().direct;
    assert_eq!(direct.port, Some(4000));
    assert_eq!(direct.addresses.first().unwrap().port, 4001);
    assert_eq!(direct.proxies, ["proxy.example.org".parse().unwrap()]);
    let options = [
        "--socks5-port",
        "5000",
        "--socks5-proxy",
        "other.example.org",
    ];
    let direct = resolve(config, &options).unwrap().direct;
    assert_eq!(direct.port, Some(5000));
    assert_eq!(direct.proxies, ["other.example.org".parse().unwrap()]);
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
    assert_eq!(profile.password.as_str(), "other");
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
