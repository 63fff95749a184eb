//! The SOCKS5 handshake with somebody who says anything.

use tubes_socks5::Destination;
use tubes_socks5::handshake::{Client, HandshakeError, REFUSED, Server, Step, granted};

/// Lets both sides hear the bytes, be given what they did not ask for, and speak with each other
/// over a line that garbles what the bytes say: a side is done exactly where a plain reading of
/// RFC 1928 is, no byte of the stream is swallowed, and no more is said than a handshake has.
pub fn socks5_handshake(data: &[u8]) {
    let mut client = Client::new(wanted());
    let heard = hear(data, |heard| client.step(heard));
    assert!(heard.said.len() <= 3 + 47);
    assert_eq!(heard.outcome.ok().map(|((), rest)| rest), reply(data));

    let mut server = Server::default();
    let heard = hear(data, |heard| server.step(heard));
    assert!(heard.said.len() <= 2);
    assert_eq!(heard.outcome.ok(), request(data));

    misfeed(data);
    garble(data);
}

/// What became of a side that heard something.
struct Heard<'a, T> {
    said: Vec<u8>,
    /// What it made of it and what it left alone; or what more it wants, or why it ends.
    outcome: Result<(T, &'a [u8]), Option<HandshakeError>>,
}

fn hear<T>(
    mut heard: &[u8],
    mut step: impl FnMut(&[u8]) -> Result<Step<T>, HandshakeError>,
) -> Heard<'_, T> {
    let (mut said, mut taken) = (Vec::new(), &[][..]);
    let outcome = loop {
        match step(taken) {
            Ok(Step::Done(outcome)) => break Ok((outcome, heard)),
            Err(why) => break Err(Some(why)),
            Ok(Step::Exchange { say, hear }) => {
                assert!((1..=257).contains(&hear));
                said.extend(say);
                let Some((now, later)) = heard.split_at_checked(hear) else {
                    break Err(None);
                };
                (taken, heard) = (now, later);
            }
        }
    };
    Heard { said, outcome }
}

/// What follows the handshake of a server that granted the connection.
fn reply(heard: &[u8]) -> Option<&[u8]> {
    let [5, 0, 5, 0, _, kind, rest @ ..] = heard else {
        return None;
    };
    let address = match kind {
        0 => 0,
        1 => 4,
        3 => 1 + usize::from(*rest.first()?),
        4 => 16,
        _ => return None,
    };
    rest.get(address + 2..)
}

/// What a client asks for, and what follows.
fn request(heard: &[u8]) -> Option<(Destination, &[u8])> {
    let [5, count, rest @ ..] = heard else {
        return None;
    };
    let (methods, rest) = rest.split_at_checked(usize::from(*count))?;
    let [5, 1, _, 3, 40, rest @ ..] = rest else {
        return None;
    };
    let (name, rest) = rest.split_at_checked(40)?;
    let is_hash = name.iter().all(u8::is_ascii_hexdigit);
    let rest = rest.get(2..)?;
    (methods.contains(&0) && is_hash)
        .then(|| Destination::parse(name))
        .flatten()
        .map(|destination| (destination, rest))
}

/// Gives both sides pieces of any length.
fn misfeed(data: &[u8]) {
    let (mut client, mut server) = (Client::new(wanted()), Server::default());
    for piece in data.split(|byte| *byte == b'|') {
        // Any answer will do.
        let _ = client.step(piece);
        let _ = server.step(piece);
    }
}

/// Each side hears what the other says, with bytes put in place of others: the data are pairs of a
/// place and a byte, the place's highest bit being the direction.
fn garble(data: &[u8]) {
    let noise = |direction: bool| {
        let pairs = data.chunks_exact(2);
        pairs.filter_map(move |pair| match pair {
            [place, byte] if (place & 0x80 != 0) == direction => {
                Some((usize::from(place & 0x7f), *byte))
            }
            _ => None,
        })
    };
    let through = |mut said: Vec<u8>, noise: &mut dyn Iterator<Item = (usize, u8)>| {
        for (place, byte) in noise {
            if let Some(there) = said.get_mut(place) {
                *there = byte;
            }
        }
        said
    };
    let request = [&[5, 1, 0, 5, 1, 0, 3, 40], digits().as_bytes(), &[0, 0]].concat();
    let garbled = through(request.clone(), &mut noise(true));
    let mut server = Server::default();
    let asked = hear(&garbled, |heard| server.step(heard));
    let answer = match &asked.outcome {
        Ok((destination, rest)) => {
            if garbled == request {
                assert_eq!((*destination, rest.len()), (wanted(), 0));
            }
            granted(*destination)
        }
        Err(why) => {
            assert_ne!(garbled, request, "{why:?}");
            REFUSED.to_vec()
        }
    };
    let answer = [asked.said, answer].concat();
    let garbled_answer = through(answer.clone(), &mut noise(false));
    let mut client = Client::new(wanted());
    let answered = hear(&garbled_answer, |heard| client.step(heard));
    if garbled == request {
        assert!(request.starts_with(&answered.said));
        if garbled_answer == answer {
            assert_eq!(answered.said, request);
            let rest = answered.outcome.ok().map(|((), rest)| rest.len());
            assert_eq!(rest, Some(0));
        }
    }
}

fn digits() -> String {
    "0123456789abcdef0123456789abcdef01234567".to_owned()
}

fn wanted() -> Destination {
    match Destination::parse(digits().as_bytes()) {
        Some(destination) => destination,
        None => panic!("these are digits"),
    }
}
