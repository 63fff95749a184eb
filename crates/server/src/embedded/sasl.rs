//! SASL as it goes over the stream (RFC 6120 §6): SCRAM, and PLAIN where it is allowed.

use std::{collections::BTreeSet, io, str, sync::Arc};

use futures_util::SinkExt;
use tokio_xmpp::xmlstream::{XmppStream, XmppStreamElement};
use xmpp_parsers::{
    jid::BareJid,
    sasl::{Auth, Challenge, DefinedCondition, Failure, Mechanism, Nonza},
};

use super::{
    hub::Hub,
    login::{Io, next},
    scram::{First, Hash, Secret},
};

/// The mechanisms that are offered.
pub(super) fn mechanisms(plain: bool) -> BTreeSet<String> {
    let mut names = BTreeSet::from(["SCRAM-SHA-1".to_owned(), "SCRAM-SHA-256".to_owned()]);
    if plain {
        names.insert("PLAIN".to_owned());
    }
    names
}

/// Finds out whose client this is that has said `first`: the account, and what goes into `<success/>`. `None` after
/// too many failures.
pub(super) async fn negotiate(
    stream: &mut XmppStream<Io>,
    hub: &Hub,
    plain: bool,
    first: XmppStreamElement,
) -> io::Result<Option<(BareJid, Vec<u8>)>> {
    let mut said = first;
    for _ in 0..TRIES {
        stream.get_stream().lap();
        let refused = match said {
            XmppStreamElement::Sasl(Nonza::Auth(auth)) => {
                match attempt(stream, hub, plain, auth).await? {
                    Ok(known) => return Ok(Some(known)),
                    Err(condition) => condition,
                }
            }
            XmppStreamElement::Sasl(Nonza::Abort(_)) => DefinedCondition::Aborted,
            _ => return Ok(None),
        };
        let failure = Failure {
            defined_condition: refused,
            texts: Default::default(),
        };
        stream.send(&Nonza::Failure(failure)).await?;
        said = next(stream).await?;
    }
    Ok(None)
}

async fn attempt(
    stream: &mut XmppStream<Io>,
    hub: &Hub,
    plain: bool,
    auth: Auth,
) -> io::Result<Result<(BareJid, Vec<u8>), DefinedCondition>> {
    let hash = match auth.mechanism {
        Mechanism::ScramSha1 => Hash::Sha1,
        Mechanism::ScramSha256 => Hash::Sha256,
        Mechanism::Plain if plain => return Ok(in_clear(hub, &auth.data)),
        _ => return Ok(Err(DefinedCondition::InvalidMechanism)),
    };
    let Some(first) = First::read(&auth.data) else {
        return Ok(Err(DefinedCondition::MalformedRequest));
    };
    let Some((account, secret)) = look_up(hub, &first.name) else {
        return Ok(Err(DefinedCondition::NotAuthorized));
    };
    let nonce = format!("{:032x}", rand::random::<u128>());
    let (message, challenge) = first.challenge(hash, &secret, &nonce);
    let data = message.into_bytes();
    stream.send(&Nonza::Challenge(Challenge { data })).await?;
    let response = match next(stream).await? {
        XmppStreamElement::Sasl(Nonza::Response(response)) => response.data,
        XmppStreamElement::Sasl(Nonza::Abort(_)) => return Ok(Err(DefinedCondition::Aborted)),
        _ => return Ok(Err(DefinedCondition::MalformedRequest)),
    };
    Ok(match challenge.finish(&response, &secret) {
        Some(signature) => Ok((account, signature.into_bytes())),
        None => Err(DefinedCondition::NotAuthorized),
    })
}

/// PLAIN (RFC 4616): `authorisation NUL name NUL password`.
fn in_clear(hub: &Hub, data: &[u8]) -> Result<(BareJid, Vec<u8>), DefinedCondition> {
    let malformed = DefinedCondition::MalformedRequest;
    let text = str::from_utf8(data).map_err(|_| malformed.clone())?;
    let mut parts = text.split('\0');
    let (Some(acting), Some(name), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed);
    };
    let known = look_up(hub, name).filter(|(_, secret)| secret.is(password));
    let (account, _) = known.ok_or(DefinedCondition::NotAuthorized)?;
    if !(acting.is_empty() || acting == account.as_str()) {
        return Err(DefinedCondition::InvalidAuthzid);
    }
    Ok((account, Vec::new()))
}

fn look_up(hub: &Hub, name: &str) -> Option<(BareJid, Arc<Secret>)> {
    let account = hub.account_of(name)?;
    let secret = hub.secret(&account)?;
    Some((account, secret))
}

/// RFC 6120 §6.4.5 asks for at least two, and at most five.
const TRIES: usize = 3;
