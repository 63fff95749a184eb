//! A server that offers and answers anything.

use xmpp_parsers::minidom::Element;
use xmpp_parsers::stream_features::StreamFeatures;

use super::scram::Scram;
use super::{Binding, Choice, Gs2, Hash, Security};

/// Reads features, and chooses how to log in: by something that was offered, and never by the
/// password itself where it could be proven instead.
pub fn features(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Ok(element) = text.parse::<Element>() else {
        return;
    };
    let Ok(features) = StreamFeatures::try_from(element) else {
        return;
    };
    let bindings = [
        vec![],
        vec![Binding::EndPoint(vec![1])],
        vec![Binding::Exporter(vec![2]), Binding::EndPoint(vec![1])],
    ];
    let encrypted = bindings.into_iter().map(Security::Tls);
    for security in encrypted.chain([Security::Loopback]) {
        let Ok(choice) = Choice::among(&features, &security) else {
            continue;
        };
        let offered = &features.sasl_mechanisms;
        let name = String::from_utf8(choice.mechanism().to_string().into_bytes());
        assert!(name.is_ok_and(|name| offered.contains(&name)));
        match choice {
            Choice::Plain => assert!(
                !offered.contains("SCRAM-SHA-1") && !offered.contains("SCRAM-SHA-256"),
                "the password is sent without need"
            ),
            Choice::Scram(_, Gs2::Bound(binding)) => match security {
                Security::Tls(bindings) => assert!(bindings.contains(&binding)),
                Security::Loopback => panic!("there is nothing to be bound to"),
            },
            Choice::Scram(..) => {}
        }
    }
}

/// Answers a login with the first line as the challenge and the others as the last word. It is
/// taken for what it is, and proves nothing: nobody here knows the password.
pub fn scram(data: &[u8]) {
    let mut lines = data.split(|&byte| byte == b'\n');
    let challenge = lines.next().unwrap_or_default();
    for hash in [Hash::Sha1, Hash::Sha256] {
        let login = Scram::new(hash, Gs2::No, "a=b,c", NONCE.to_owned());
        let Ok(challenged) = login.handle_challenge(challenge) else {
            return;
        };
        let text = str::from_utf8(challenge).unwrap_or_default();
        assert!(text.starts_with(&format!("r={NONCE}")), "another login");
        let mut attributes = text.split(',');
        let nonce = attributes.next().unwrap_or_default();
        let iterations = attributes.nth(1).and_then(|i| i.strip_prefix("i="));
        let iterations: u32 = iterations.and_then(|i| i.parse().ok()).unwrap_or(u32::MAX);
        if iterations > QUICK {
            return;
        }
        let (last, proof) = challenged.prove("secret");
        assert!(last.starts_with(format!("c=biws,{nonce},p=").as_bytes()));
        for word in lines.clone() {
            assert!(proof.verify(word).is_err(), "it proves nothing");
        }
    }
}

/// Short enough for the fuzzer to repeat it.
const NONCE: &str = "n0";

/// More iterations would only take longer.
const QUICK: u32 = 64;
