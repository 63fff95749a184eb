//! Authentication (RFC 6120 §6): both sides prove that they know the password.

mod choice;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod scram;

use futures_util::{SinkExt, StreamExt};
use tokio_xmpp::xmlstream::{
    FallibleStreamElement, ReadError, StreamElementError, XmppStream, XmppStreamElement,
};
use xmpp_parsers::sasl::{Auth, Mechanism, Nonza, Response};
use xmpp_parsers::stream_features::StreamFeatures;

pub(crate) use self::choice::{Binding, Gs2, Hash, Names};

use self::choice::Choice;
use self::scram::{Proof, Scram, ScramError};
use crate::account::Account;
use crate::filter::Line;
use crate::login_error::{LoginFailure, Refusal};

/// What protects the login from those who read along. There is no third case: an unprotected
/// line to another machine is refused before anything is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// Nothing, but it does not leave this machine.
    Loopback,
    /// TLS, with what the login can be bound to, the strongest first.
    Tls(Vec<Binding>),
}

/// Authenticates; returns how it was done. On success the stream is to be restarted.
///
/// The caller sets the deadline. Not cancel safe: a stream that was cut off here is of no use.
pub(crate) async fn authenticate(
    stream: &mut XmppStream<Line>,
    features: &StreamFeatures,
    security: &Security,
    account: &Account,
) -> Result<Names, LoginFailure> {
    let choice = Choice::among(features, security)?;
    let names = choice.names();
    // An account has a local part.
    let name = account.jid().node().map_or("", |node| node.as_str());
    let password = prepare(account.password().reveal())?;
    let mechanism = choice.mechanism();
    tracing::debug!(?mechanism, "authenticating");
    match choice {
        Choice::Plain => plain(stream, mechanism, name, &password).await?,
        Choice::Scram(hash, gs2) => {
            let scram = Scram::new(hash, gs2, name, nonce());
            prove(stream, mechanism, scram, password).await?;
        }
    }
    Ok(names)
}

async fn plain(
    stream: &mut XmppStream<Line>,
    mechanism: Mechanism,
    name: &str,
    password: &str,
) -> Result<(), LoginFailure> {
    let data = format!("\0{name}\0{password}").into_bytes();
    send(stream, Nonza::Auth(Auth { mechanism, data })).await?;
    match next(stream).await? {
        Nonza::Success(_) => Ok(()),
        other => Err(unexpected(&other)),
    }
}

async fn prove(
    stream: &mut XmppStream<Line>,
    mechanism: Mechanism,
    scram: Scram,
    password: String,
) -> Result<(), LoginFailure> {
    let data = scram.first();
    send(stream, Nonza::Auth(Auth { mechanism, data })).await?;
    let challenge = match next(stream).await? {
        Nonza::Challenge(challenge) => challenge.data,
        // tokio-xmpp 6.0.0 believes this.
        Nonza::Success(_) => return Err(LoginFailure::NotProven),
        other => return Err(unexpected(&other)),
    };
    let challenged = scram.handle_challenge(&challenge).map_err(disbelieve)?;
    let (data, proof) = tokio::task::spawn_blocking(move || challenged.prove(&password))
        .await
        .map_err(|why| LoginFailure::io(DURING)(why.into()))?;
    send(stream, Nonza::Response(Response { data })).await?;
    believe(stream, &proof).await
}

/// Waits for the server's signature. RFC 6120 §6.4.6: it comes with the success, or as a last
/// challenge before it.
async fn believe(stream: &mut XmppStream<Line>, proof: &Proof) -> Result<(), LoginFailure> {
    match next(stream).await? {
        Nonza::Success(success) => proof.verify(&success.data).map_err(disbelieve),
        Nonza::Challenge(challenge) => {
            proof.verify(&challenge.data).map_err(disbelieve)?;
            let data = Vec::new();
            send(stream, Nonza::Response(Response { data })).await?;
            match next(stream).await? {
                Nonza::Success(_) => Ok(()),
                other => Err(unexpected(&other)),
            }
        }
        other => Err(unexpected(&other)),
    }
}

async fn send(stream: &mut XmppStream<Line>, nonza: Nonza) -> Result<(), LoginFailure> {
    stream
        .send(&XmppStreamElement::Sasl(nonza))
        .await
        .map_err(LoginFailure::io(DURING))
}

/// The server's next word, unless it is a refusal.
async fn next(stream: &mut XmppStream<Line>) -> Result<Nonza, LoginFailure> {
    loop {
        match stream.next().await {
            Some(Ok(FallibleStreamElement::Ok(XmppStreamElement::Sasl(nonza)))) => {
                return match nonza {
                    Nonza::Failure(failure) => Err(failure.into()),
                    other => Ok(other),
                };
            }
            Some(Ok(FallibleStreamElement::Ok(XmppStreamElement::StreamError(error)))) => {
                return Err(LoginFailure::Stream(Box::new(error)));
            }
            // A refusal for a reason that no RFC knows is still one.
            Some(Ok(FallibleStreamElement::Err(StreamElementError::InvalidNonza {
                qname,
                ..
            }))) if qname.1 == "failure" => {
                return Err(LoginFailure::Refused(Refusal::unknown()));
            }
            Some(Ok(FallibleStreamElement::Err(error))) => {
                return Err(LoginFailure::protocol(DURING, error.to_string()));
            }
            Some(Ok(FallibleStreamElement::Ok(_))) => {
                return Err(LoginFailure::protocol(DURING, "it talks of something else"));
            }
            // The caller's deadline counts.
            Some(Err(ReadError::SoftTimeout)) => {}
            Some(Err(ReadError::HardError(error))) => return Err(LoginFailure::io(DURING)(error)),
            Some(Err(ReadError::ParseError(error))) => {
                return Err(LoginFailure::protocol(DURING, error.to_string()));
            }
            Some(Err(ReadError::StreamFooterReceived)) | None => {
                return Err(LoginFailure::protocol(DURING, "it ended the stream"));
            }
        }
    }
}

fn unexpected(nonza: &Nonza) -> LoginFailure {
    let what = match nonza {
        Nonza::Abort(_) => "an abort",
        Nonza::Auth(_) => "a login of its own",
        Nonza::Challenge(_) => "a challenge too many",
        Nonza::Failure(_) => "a failure",
        Nonza::Response(_) => "a response",
        Nonza::Success(_) => "a success",
    };
    LoginFailure::protocol(DURING, format!("{what} came out of turn"))
}

fn disbelieve(error: ScramError) -> LoginFailure {
    match error {
        ScramError::Unproven => LoginFailure::NotProven,
        other => LoginFailure::protocol(DURING, other.to_string()),
    }
}

/// SASLprep (RFC 4013) of a password. Characters younger than its tables stay as they are, as
/// RFC 3454 §7 has it for queries and as servers do it.
fn prepare(password: &str) -> Result<String, LoginFailure> {
    let young = |c| stringprep::tables::unassigned_code_point(c);
    let mut prepared = String::new();
    for piece in password.split_inclusive(young) {
        let mut rest = piece.chars();
        let last = rest.next_back().filter(|&c| young(c));
        let old = match last {
            Some(_) => rest.as_str(),
            None => piece,
        };
        let old = stringprep::saslprep(old).map_err(|why| LoginFailure::Password(why.to_string()));
        prepared.push_str(&old?);
        prepared.extend(last);
    }
    if prepared.is_empty() {
        return Err(LoginFailure::Password("it is empty".to_owned()));
    }
    Ok(prepared)
}

/// 128 random bits.
fn nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}

const DURING: &str = "authenticating";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn prepares_as_rfc_4013_section_3_does() {
        assert_eq!(prepare("I\u{ad}X").unwrap(), "IX");
        assert_eq!(prepare("USER").unwrap(), "USER");
        assert_eq!(prepare("\u{aa}").unwrap(), "a");
        assert_eq!(prepare("\u{2168}").unwrap(), "IX");
        assert_eq!(prepare("pass\u{a0}word").unwrap(), "pass word");
    }

    #[test]
    fn refuses_what_no_password_can_have() {
        for password in ["\u{7}", "a\u{627}1", "\u{ad}", ""] {
            let error = prepare(password).unwrap_err();
            assert!(matches!(error, LoginFailure::Password(_)), "{password:?}");
        }
    }

    #[test]
    fn leaves_younger_characters_alone() {
        assert_eq!(prepare("🦀").unwrap(), "🦀");
        assert_eq!(prepare("\u{2168}🦀\u{aa}🦀🦀").unwrap(), "IX🦀a🦀🦀");
    }
}
