//! Encrypted bytestreams between Alice, who is asked, and Fernand, who asks.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;
use tubes_secure::{Binding, Identity, SecureError, is_untrusted, seal};
use tubes_transport::{Bytestream, Role};

fn identity() -> Identity {
    Identity::generate().unwrap().0
}

fn binding() -> Binding {
    Binding::new([b"asked".as_slice(), b"answered"])
}

struct Pair {
    alice: Bytestream,
    fernand: Bytestream,
}

/// Both sides over these, each towards the other.
async fn sealed(alices: DuplexStream, fernands: DuplexStream) -> Pair {
    let (alice, fernand) = (identity(), identity());
    let (answers, asks) = (Bytestream::new(alices, "a"), Bytestream::new(fernands, "f"));
    let binding = binding();
    let (alice, fernand) = tokio::join!(
        seal(answers, Role::Responder, &alice, fernand.public(), &binding),
        seal(asks, Role::Requester, &fernand, alice.public(), &binding),
    );
    Pair {
        alice: alice.unwrap(),
        fernand: fernand.unwrap(),
    }
}

async fn pair() -> Pair {
    let (alices, fernands) = duplex(64 * 1024);
    sealed(alices, fernands).await
}

/// Somebody in between, who passes on what comes as `meddle` has it, and remembers it.
async fn between(
    mut left: DuplexStream,
    mut right: DuplexStream,
    mut meddle: impl FnMut(&mut Vec<u8>) -> bool,
) -> Vec<u8> {
    let (mut seen, mut here, mut there) = (Vec::new(), [0; 4096], [0; 4096]);
    loop {
        let (length, from_left) = tokio::select! {
            read = left.read(&mut here) => (read.unwrap_or(0), true),
            read = right.read(&mut there) => (read.unwrap_or(0), false),
        };
        if length == 0 {
            return seen;
        }
        let read = if from_left { &here } else { &there };
        let mut bytes = read[..length].to_vec();
        seen.extend_from_slice(&bytes);
        if !meddle(&mut bytes) {
            return seen;
        }
        let onward = if from_left { &mut right } else { &mut left };
        if onward.write_all(&bytes).await.is_err() {
            return seen;
        }
    }
}

#[tokio::test]
async fn carries_bytes_both_ways_and_each_direction_ends_on_its_own() {
    let Pair {
        mut alice,
        mut fernand,
    } = pair().await;
    assert!(alice.half_close() && fernand.half_close());
    fernand.write_all(b"question").await.unwrap();
    fernand.shutdown().await.unwrap();
    let mut heard = Vec::new();
    alice.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"question");
    let answer = vec![7; 1_000_000];
    let (written, read) = tokio::join!(
        async {
            alice.write_all(&answer).await?;
            alice.shutdown().await
        },
        async {
            let mut heard = Vec::new();
            fernand.read_to_end(&mut heard).await?;
            fernand.shutdown().await.map(|()| heard)
        },
    );
    written.unwrap();
    assert_eq!(read.unwrap(), answer);
}

#[tokio::test]
async fn an_end_below_comes_only_after_both_directions_have_ended() {
    let (alices, left) = duplex(64 * 1024);
    let (right, fernands) = duplex(64 * 1024);
    let passing = tokio::spawn(between(left, right, |_| true));
    let Pair {
        mut alice,
        mut fernand,
    } = sealed(alices, fernands).await;
    alice.shutdown().await.unwrap();
    assert_eq!(fernand.read(&mut [0; 1]).await.unwrap(), 0);
    // The way below is open in both directions, in spite of the end.
    fernand.write_all(b"still").await.unwrap();
    fernand.flush().await.unwrap();
    let mut heard = [0; 5];
    alice.read_exact(&mut heard).await.unwrap();
    assert!(!passing.is_finished());
    let (ended, shut) = tokio::join!(
        async {
            assert_eq!(alice.read(&mut heard).await?, 0);
            alice.shutdown().await
        },
        fernand.shutdown()
    );
    ended.unwrap();
    shut.unwrap();
    passing.await.unwrap();
}

#[tokio::test]
async fn nobody_in_between_reads_anything() {
    let (alices, left) = duplex(64 * 1024);
    let (right, fernands) = duplex(64 * 1024);
    let listening = tokio::spawn(between(left, right, |_| true));
    let Pair {
        mut alice,
        mut fernand,
    } = sealed(alices, fernands).await;
    let said = b"nobody else is to know of this";
    fernand.write_all(said).await.unwrap();
    fernand.flush().await.unwrap();
    let mut heard = [0; 30];
    alice.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, said);
    drop((alice, fernand));
    let seen = listening.await.unwrap();
    assert!(seen.len() > said.len());
    assert!(
        !seen
            .windows(6)
            .any(|window| said.windows(6).any(|part| part == window))
    );
}

#[tokio::test]
async fn what_is_changed_or_cut_short_in_between_is_an_error_and_no_end() {
    for cut in [true, false] {
        let (alices, left) = duplex(64 * 1024);
        let (right, fernands) = duplex(64 * 1024);
        let mut armed = false;
        let (arm, mut arming) = tokio::sync::watch::channel(false);
        let passing = tokio::spawn(between(left, right, move |bytes| {
            armed |= arming.has_changed().unwrap_or(true) && *arming.borrow_and_update();
            if armed && !cut {
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
            }
            !(armed && cut)
        }));
        let Pair {
            mut alice,
            mut fernand,
        } = sealed(alices, fernands).await;
        fernand.write_all(b"first").await.unwrap();
        fernand.flush().await.unwrap();
        alice.read_exact(&mut [0; 5]).await.unwrap();
        arm.send(true).unwrap();
        fernand.write_all(b"second").await.unwrap();
        fernand.flush().await.unwrap();
        let why = alice.read(&mut [0; 6]).await.unwrap_err();
        assert!(is_untrusted(&why), "{why}");
        drop(alice);
        let told = timeout(PATIENCE, fernand.read(&mut [0; 1])).await;
        assert!(told.unwrap().is_err());
        drop(passing);
    }
}

#[tokio::test]
async fn who_has_another_key_than_it_should_is_refused_by_both_sides() {
    for whose in [Role::Requester, Role::Responder] {
        let (alices, fernands) = duplex(64 * 1024);
        let (alice, fernand, mallory) = (identity(), identity(), identity());
        let (answers, asks) = (Bytestream::new(alices, "a"), Bytestream::new(fernands, "f"));
        let (answering, asking) = match whose {
            Role::Requester => (&alice, &mallory),
            Role::Responder => (&mallory, &fernand),
        };
        let binding = binding();
        let (alice, fernand) = tokio::join!(
            async {
                let mut stream = seal(
                    answers,
                    Role::Responder,
                    answering,
                    fernand.public(),
                    &binding,
                )
                .await?;
                // The last word of the handshake is Fernand's.
                let read = stream.read(&mut [0; 1]).await;
                read.map(drop).map_err(|_| SecureError::TimedOut)
            },
            seal(asks, Role::Requester, asking, alice.public(), &binding),
        );
        assert!(alice.is_err(), "{whose:?}");
        assert!(fernand.is_err(), "{whose:?}");
    }
}

#[tokio::test]
async fn who_negotiated_something_else_is_refused_by_both_sides() {
    let (alices, fernands) = duplex(64 * 1024);
    let (alice, fernand) = (identity(), identity());
    let (answers, asks) = (Bytestream::new(alices, "a"), Bytestream::new(fernands, "f"));
    let (asked, answered) = (binding(), Binding::new([b"asked".as_slice(), b"otherwise"]));
    let (alice, fernand) = tokio::join!(
        seal(
            answers,
            Role::Responder,
            &alice,
            fernand.public(),
            &answered
        ),
        seal(asks, Role::Requester, &fernand, alice.public(), &asked),
    );
    let refused = fernand.unwrap_err();
    assert!(matches!(refused, SecureError::Untrusted(_)), "{refused}");
    let why = alice.unwrap().read(&mut [0; 1]).await.unwrap_err();
    assert!(is_untrusted(&why), "{why}");
}

#[tokio::test]
async fn a_service_that_speaks_first_is_heard_after_one_round_trip() {
    let (alices, left) = duplex(64 * 1024);
    let (right, fernands) = duplex(64 * 1024);
    let (alice, fernand) = (identity(), identity());
    let (answers, asks) = (Bytestream::new(alices, "a"), Bytestream::new(fernands, "f"));
    let keys = (alice.public(), fernand.public());
    let speaking = tokio::spawn(async move {
        let mut alice = seal(answers, Role::Responder, &alice, keys.1, &binding()).await?;
        alice.write_all(b"SSH-2.0").await.unwrap();
        alice.flush().await.unwrap();
        Ok::<_, SecureError>(alice)
    });
    let asking =
        tokio::spawn(
            async move { seal(asks, Role::Requester, &fernand, keys.0, &binding()).await },
        );
    // Each way is open only while the other is not: what turns, and when, is counted.
    let (mut left, mut right) = (left, right);
    let mut turns = Vec::new();
    let mut bytes = [0; 16 * 1024];
    for way in ["to fernand", "to alice", "to fernand"] {
        let (from, to) = match way {
            "to alice" => (&mut right, &mut left),
            _ => (&mut left, &mut right),
        };
        // A flight may come in several writes.
        let mut length = from.read(&mut bytes).await.unwrap();
        while let Ok(more) =
            timeout(Duration::from_millis(100), from.read(&mut bytes[length..])).await
        {
            length += more.unwrap();
        }
        to.write_all(&bytes[..length]).await.unwrap();
        turns.push(length);
    }
    let mut fernand = timeout(PATIENCE, asking).await.unwrap().unwrap().unwrap();
    let mut heard = [0; 7];
    let reading = timeout(PATIENCE, fernand.read_exact(&mut heard)).await;
    reading.unwrap().unwrap();
    assert_eq!(&heard, b"SSH-2.0");
    assert_eq!(turns.len(), 3);
    speaking.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_is_dropped_breaks_the_stream() {
    let Pair { alice, mut fernand } = pair().await;
    drop(alice);
    let why = fernand.read(&mut [0; 1]).await.unwrap_err();
    assert!(is_untrusted(&why), "{why}");
}

#[tokio::test(start_paused = true)]
async fn who_reads_late_gets_all_that_was_said_and_the_end() {
    let Pair {
        mut alice,
        mut fernand,
    } = pair().await;
    fernand.shutdown().await.unwrap();
    assert_eq!(alice.read(&mut [0; 1]).await.unwrap(), 0);
    let answering = tokio::spawn(async move {
        alice.write_all(b"the tail").await.unwrap();
        alice.shutdown().await.unwrap();
    });
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(!answering.is_finished());
    let mut heard = Vec::new();
    fernand.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"the tail");
    let (answered, shut) = tokio::join!(answering, fernand.shutdown());
    answered.unwrap();
    shut.unwrap();
}

#[tokio::test]
async fn what_failed_once_is_never_read_again() {
    let (alices, left) = duplex(64 * 1024);
    let (right, fernands) = duplex(64 * 1024);
    let passing = tokio::spawn(between(left, right, |_| true));
    let Pair { mut alice, fernand } = sealed(alices, fernands).await;
    drop(fernand);
    passing.await.unwrap();
    for _ in 0..3 {
        let why = alice.read(&mut [0; 1]).await.unwrap_err();
        assert!(is_untrusted(&why), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_is_not_waited_for_for_ever() {
    let (alices, _silent) = duplex(64);
    let (alice, fernand) = (identity(), identity());
    let asks = Bytestream::new(alices, "a");
    let refused = seal(asks, Role::Requester, &alice, fernand.public(), &binding()).await;
    assert!(matches!(refused, Err(SecureError::TimedOut)));
}

#[tokio::test]
async fn who_hangs_up_is_no_stranger() {
    let (alices, hung_up) = duplex(64);
    drop(hung_up);
    let (alice, fernand) = (identity(), identity());
    let asks = Bytestream::new(alices, "a");
    let refused = seal(asks, Role::Requester, &alice, fernand.public(), &binding()).await;
    let Err(SecureError::Io(why)) = refused else {
        panic!("{refused:?}");
    };
    let kinds = [ErrorKind::UnexpectedEof, ErrorKind::BrokenPipe];
    assert!(
        kinds.contains(&why.kind()),
        "{}",
        io::Error::from(why.kind())
    );
}

/// What takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);
