//! How addresses and access are written, and what is said of wrong ones.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::PathBuf;

use proptest::prelude::*;
use tubes_local::{Access, AccessError, Address, AddressError};

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp {
        host: host.to_owned(),
        port,
    }
}

fn parse(text: &str) -> Result<Address, AddressError> {
    text.parse()
}

#[test]
fn a_tcp_address_may_do_without_its_scheme() {
    assert_eq!(parse("tcp:localhost:80"), Ok(tcp("localhost", 80)));
    assert_eq!(parse("localhost:80"), Ok(tcp("localhost", 80)));
    assert_eq!(parse("127.0.0.1:0"), Ok(tcp("127.0.0.1", 0)));
}

#[test]
fn an_ipv6_address_stands_in_brackets() {
    assert_eq!(parse("[::1]:80"), Ok(tcp("::1", 80)));
    assert_eq!(parse("tcp:[fe80::1%eth0]:80"), Ok(tcp("fe80::1%eth0", 80)));
    assert_eq!(tcp("::1", 80).to_string(), "tcp:[::1]:80");
    for wrong in ["::1:80", "tcp:::1:80", "[::1", "[localhost]:80"] {
        assert!(
            matches!(parse(wrong), Err(AddressError::Brackets(_))),
            "{wrong}"
        );
    }
}

#[test]
fn sockets_of_other_kinds_have_a_scheme() {
    let path = PathBuf::from("/run/x:y.sock");
    assert_eq!(parse("unix:/run/x:y.sock"), Ok(Address::Unix(path)));
    assert_eq!(parse("unix:"), Ok(Address::Unix(PathBuf::new())));
    assert_eq!(parse("abstract:a b"), Ok(Address::Abstract("a b".into())));
    assert_eq!(parse("-"), Ok(Address::Stdio));
}

#[test]
fn a_path_without_scheme_is_told_which_it_needs() {
    let error = parse("/run/x.sock").unwrap_err().to_string();
    assert!(error.contains("write `unix:/run/x.sock`"), "{error}");
}

#[test]
fn a_missing_port_is_named() {
    for wrong in ["localhost", "tcp:localhost", "[::1]", "[::1]80", ""] {
        let error = parse(wrong).unwrap_err();
        assert!(
            matches!(error, AddressError::NoPort(_)),
            "{wrong}: {error:?}"
        );
    }
}

#[test]
fn a_malformed_port_is_named() {
    for wrong in ["", "x", "65536", "+80", "-1", " 80", "8080x"] {
        let error = parse(&format!("localhost:{wrong}")).unwrap_err();
        assert_eq!(error, AddressError::Port(wrong.to_owned()));
    }
}

#[test]
fn a_host_has_the_letters_of_one() {
    for wrong in ["", "a b", "http//x", "*", "a@b"] {
        let error = parse(&format!("{wrong}:80")).unwrap_err();
        assert_eq!(error, AddressError::Host(wrong.to_owned()));
    }
}

#[test]
fn a_name_holds_107_bytes_and_no_nul() {
    let fits = "x".repeat(107);
    let long = "x".repeat(108);
    for scheme in ["unix", "abstract"] {
        assert!(parse(&format!("{scheme}:{fits}")).is_ok());
        let error = parse(&format!("{scheme}:{long}")).unwrap_err();
        assert!(error.to_string().contains("108 bytes"), "{error}");
        let error = parse(&format!("{scheme}:a\0b")).unwrap_err();
        assert_eq!(error, AddressError::Nul);
    }
    assert_eq!(parse("abstract:"), Err(AddressError::NoName));
}

#[test]
fn access_is_written_as_it_is_read() {
    for access in [Access::Localhost, Access::Port(80), Access::Credentials] {
        assert_eq!(access.to_string().parse(), Ok(access));
    }
}

#[test]
fn access_of_no_known_kind_is_refused() {
    for wrong in ["port:0", "port:x", "port:65536", "port:"] {
        let error = wrong.parse::<Access>().unwrap_err();
        assert!(matches!(error, AccessError::Port(_)), "{wrong}");
    }
    for wrong in ["", "everyone", "port", "localhost:1"] {
        let error = wrong.parse::<Access>().unwrap_err();
        assert!(matches!(error, AccessError::Unknown(_)), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic_and_what_it_takes_comes_back(text in "\\PC{0,40}") {
        if let Ok(address) = parse(&text) {
            prop_assert_eq!(parse(&address.to_string()), Ok(address));
        }
    }

    #[test]
    fn every_tcp_address_comes_back(host in "[a-z0-9.-]{1,20}|::1|fe80::2", port: u16) {
        let address = tcp(&host, port);
        prop_assert_eq!(parse(&address.to_string()), Ok(address));
    }
}
