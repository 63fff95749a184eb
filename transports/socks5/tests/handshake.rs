//! The SOCKS5 handshake: every byte of it, what is tolerated, and what is not.
#![allow(clippy::unwrap_used, reason = "this is a test")]

use proptest::prelude::*;
use tubes_socks5::Destination;
use tubes_socks5::handshake::{Client, HandshakeError, REFUSED, Server, Step, granted};

const DIGITS: &str = "0123456789abcdef0123456789abcdef01234567";

fn destination() -> Destination {
    Destination::parse(DIGITS.as_bytes()).unwrap()
}

fn with_digits(head: &[u8]) -> Vec<u8> {
    [head, &[3, 40], DIGITS.as_bytes(), &[0, 0]].concat()
}

/// How a handshake ended: its outcome and how many bytes were left alone. None if it wants more.
type End<T> = Option<Result<(T, usize), HandshakeError>>;

/// What a side says if these bytes are heard, and how it ends.
fn run<T>(
    mut step: impl FnMut(&[u8]) -> Result<Step<T>, HandshakeError>,
    mut heard: &[u8],
) -> (Vec<u8>, End<T>) {
    let (mut said, mut next) = (Vec::new(), Vec::new());
    loop {
        match step(&next) {
            Ok(Step::Done(outcome)) => return (said, Some(Ok((outcome, heard.len())))),
            Err(why) => return (said, Some(Err(why))),
            Ok(Step::Exchange { say, hear }) => {
                said.extend(say);
                let Some((taken, left)) = heard.split_at_checked(hear) else {
                    return (said, None);
                };
                next = taken.to_vec();
                heard = left;
            }
        }
    }
}

/// The side that has connected, and how many bytes it left alone.
fn client(heard: &[u8]) -> (Vec<u8>, Option<Result<usize, HandshakeError>>) {
    let mut client = Client::new(destination());
    let (said, ended) = run(|heard| client.step(heard), heard);
    (said, ended.map(|ended| ended.map(|((), left)| left)))
}

/// The side that was connected to.
fn server(heard: &[u8]) -> (Vec<u8>, End<Destination>) {
    let mut server = Server::default();
    run(|heard| server.step(heard), heard)
}

#[test]
fn the_client_says_what_gabble_says() {
    let reply = [&[5, 0][..], &granted(destination())].concat();
    let (said, ended) = client(&reply);
    assert_eq!(said, [&[5, 1, 0][..], &with_digits(&[5, 1, 0])].concat());
    assert_eq!(ended, Some(Ok(0)));
}

#[test]
fn the_server_says_what_gabble_says() {
    let request = [&[5, 1, 0][..], &with_digits(&[5, 1, 0])].concat();
    let (said, ended) = server(&request);
    assert_eq!(said, [5, 0]);
    assert_eq!(ended, Some(Ok((destination(), 0))));
    assert_eq!(granted(destination()), with_digits(&[5, 0, 0]));
}

#[test]
fn what_follows_the_handshake_is_left_alone() {
    let (_, ended) = client(&[&[5, 0][..], &granted(destination()), b"hello"].concat());
    assert_eq!(ended, Some(Ok(5)));
    let (_, ended) = server(&[&[5, 1, 0][..], &with_digits(&[5, 1, 0]), b"hello"].concat());
    assert_eq!(ended, Some(Ok((destination(), 5))));
}

#[test]
fn the_address_of_a_reply_means_nothing() {
    for reply in [
        // Pidgin's: any name.
        &[5, 0, 5, 0, 0, 3, 5, b'h', b'e', b'l', b'l', b'o', 0, 0][..],
        // An old ejabberd's: none.
        &[5, 0, 5, 0, 0, 0, 0, 0],
        &[5, 0, 5, 0, 0, 1, 192, 0, 2, 1, 4, 56],
        &[
            5, 0, 5, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4, 56,
        ],
        &[5, 0, 5, 0, 0, 3, 0, 0, 0],
    ] {
        assert_eq!(client(reply).1, Some(Ok(0)), "{reply:?}");
    }
}

#[test]
fn a_refusal_names_its_code() {
    let (_, ended) = client(&[&[5, 0][..], &REFUSED].concat());
    assert_eq!(ended, Some(Err(HandshakeError::Refused(2))));
}

#[test]
fn authentication_is_refused() {
    assert_eq!(
        client(&[5, 0xff]).1,
        Some(Err(HandshakeError::Authentication))
    );
    assert_eq!(client(&[5, 2]).1, Some(Err(HandshakeError::Authentication)));
    assert_eq!(
        server(&[5, 1, 2]).1,
        Some(Err(HandshakeError::Authentication))
    );
    // Among others, no authentication is enough.
    assert_eq!(server(&[5, 3, 2, 1, 0]).0, [5, 0]);
}

#[test]
fn anything_else_is_no_socks5() {
    for heard in [
        &b"GET / HTTP/1.1\r\n"[..],
        &[4, 1, 0, 80, 0, 0, 0, 0],
        &[5, 0],
    ] {
        assert_eq!(
            server(heard).1,
            Some(Err(HandshakeError::Malformed)),
            "{heard:?}"
        );
    }
    let requests = [
        with_digits(&[5, 2, 0]),
        with_digits(&[4, 1, 0]),
        vec![5, 1, 0, 1, 192, 0, 2, 1, 0, 80],
        [&[5, 1, 0, 3, 40][..], &[b'x'; 40], &[0, 0]].concat(),
        [&[5, 1, 0, 3, 39][..], &[b'0'; 39], &[0, 0]].concat(),
    ];
    for request in requests {
        let ended = server(&[&[5, 1, 0][..], &request].concat()).1;
        assert_eq!(ended, Some(Err(HandshakeError::Malformed)), "{request:?}");
    }
    assert_eq!(client(b"HTTP/1.1").1, Some(Err(HandshakeError::Malformed)));
}

proptest! {
    #[test]
    fn whatever_is_heard_neither_side_asks_for_more_than_a_handshake_has(
        heard in prop::collection::vec(prop_oneof![0u8..6, any::<u8>()], 0..600)
    ) {
        let (said, _) = client(&heard);
        prop_assert!(said.len() <= 3 + 47);
        let (said, ended) = server(&heard);
        prop_assert!(said.len() <= 2);
        if let Some(Ok((destination, _))) = ended {
            prop_assert!(heard.windows(40).any(|digits| Destination::parse(digits) == Some(destination)));
        }
    }
}
