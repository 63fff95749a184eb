//! Which of the server's mechanisms to use, and how to bind it to the encryption.

use std::collections::BTreeSet;

use ring::{digest, hmac, pbkdf2};
use xmpp_parsers::sasl::Mechanism;
use xmpp_parsers::sasl_cb::Type;
use xmpp_parsers::stream_features::StreamFeatures;

use super::Security;
use crate::login_error::LoginFailure;

/// How to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The password itself is sent (RFC 4616).
    Plain,
    /// The password is proven, by both sides (RFC 5802).
    Scram(Hash, Gs2),
}

impl Choice {
    /// The best of what the server offers.
    pub(crate) fn among(
        features: &StreamFeatures,
        security: &Security,
    ) -> Result<Self, LoginFailure> {
        let offered = &features.sasl_mechanisms;
        let listed = features.sasl_cb.as_ref().map(|listed| &listed.types[..]);
        let gs2 = gs2(offered, listed, security)?;
        let bound = matches!(gs2, Gs2::Bound(_));
        let scram = [Hash::Sha256, Hash::Sha1]
            .into_iter()
            .find(|hash| offered.contains(hash.mechanism(bound)));
        match scram {
            Some(hash) => Ok(Self::Scram(hash, gs2)),
            // Not beside SCRAM: a server that knows SCRAM has no need of the password.
            None if offered.contains("PLAIN") => Ok(Self::Plain),
            None => Err(LoginFailure::NoMechanism {
                offered: names(offered),
            }),
        }
    }

    /// What the mechanism is called, and what it is bound to.
    pub(crate) fn names(&self) -> Names {
        let (mechanism, binding) = match self {
            Self::Plain => ("PLAIN", None),
            Self::Scram(hash, Gs2::Bound(binding)) => (hash.mechanism(true), Some(binding.name())),
            Self::Scram(hash, _) => (hash.mechanism(false), None),
        };
        Names { mechanism, binding }
    }

    /// The mechanism as it stands on the wire.
    pub(crate) fn mechanism(&self) -> Mechanism {
        match self {
            Self::Plain => Mechanism::Plain,
            Self::Scram(Hash::Sha1, Gs2::Bound(_)) => Mechanism::ScramSha1Plus,
            Self::Scram(Hash::Sha1, _) => Mechanism::ScramSha1,
            Self::Scram(Hash::Sha256, Gs2::Bound(_)) => Mechanism::ScramSha256Plus,
            Self::Scram(Hash::Sha256, _) => Mechanism::ScramSha256,
        }
    }
}

/// What a way to log in is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) mechanism: &'static str,
    /// What the login is bound to.
    pub(crate) binding: Option<&'static str>,
}

/// The hash functions of SCRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    pub(crate) fn algorithms(
        self,
    ) -> (
        pbkdf2::Algorithm,
        hmac::Algorithm,
        &'static digest::Algorithm,
    ) {
        match self {
            Self::Sha1 => (
                pbkdf2::PBKDF2_HMAC_SHA1,
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                &digest::SHA1_FOR_LEGACY_USE_ONLY,
            ),
            Self::Sha256 => (
                pbkdf2::PBKDF2_HMAC_SHA256,
                hmac::HMAC_SHA256,
                &digest::SHA256,
            ),
        }
    }

    fn mechanism(self, bound: bool) -> &'static str {
        match (self, bound) {
            (Self::Sha1, false) => "SCRAM-SHA-1",
            (Self::Sha1, true) => "SCRAM-SHA-1-PLUS",
            (Self::Sha256, false) => "SCRAM-SHA-256",
            (Self::Sha256, true) => "SCRAM-SHA-256-PLUS",
        }
    }
}

/// Data that both ends of the encryption know and nobody in between can have (RFC 5056).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// `tls-server-end-point` (RFC 5929 §4).
    EndPoint(Vec<u8>),
    /// `tls-exporter` (RFC 9266).
    Exporter(Vec<u8>),
}

impl Binding {
    fn name(&self) -> &'static str {
        match self {
            Self::EndPoint(_) => "tls-server-end-point",
            Self::Exporter(_) => "tls-exporter",
        }
    }

    fn type_(&self) -> Type {
        match self {
            Self::EndPoint(_) => Type::TlsServerEndPoint,
            Self::Exporter(_) => Type::TlsExporter,
        }
    }
}

/// What SCRAM says of channel binding (RFC 5802 §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gs2 {
    /// `p`: the login is bound.
    Bound(Binding),
    /// `n`: this side cannot bind.
    No,
    /// `y`: this side could, but the server does not offer it. A server that did offer it
    /// knows by this that somebody took the offer away.
    Unoffered,
}

impl Gs2 {
    pub(crate) fn header(&self) -> String {
        match self {
            Self::Bound(binding) => format!("p={},,", binding.name()),
            Self::No => "n,,".to_owned(),
            Self::Unoffered => "y,,".to_owned(),
        }
    }

    /// The header, and what the login is bound to.
    pub(crate) fn data(&self) -> Vec<u8> {
        let mut data = self.header().into_bytes();
        if let Self::Bound(Binding::EndPoint(bound) | Binding::Exporter(bound)) = self {
            data.extend_from_slice(bound);
        }
        data
    }
}

/// XEP-0440 §4, except where a comment says otherwise.
fn gs2(
    offered: &BTreeSet<String>,
    listed: Option<&[Type]>,
    security: &Security,
) -> Result<Gs2, LoginFailure> {
    let Security::Tls(bindings) = security else {
        return Ok(Gs2::No);
    };
    if bindings.is_empty() {
        return Ok(Gs2::No);
    }
    let plus = [Hash::Sha1, Hash::Sha256]
        .into_iter()
        .any(|hash| offered.contains(hash.mechanism(true)));
    if !plus {
        return Ok(Gs2::Unoffered);
    }
    // Without a list tls-unique is meant, which rustls does not give away and TLS 1.3 does not
    // have. RFC 9266 §3 would have tls-exporter instead, but ejabberd 23.01 refuses it: who knows
    // of tls-exporter sends the list.
    let Some(listed) = listed else {
        return Ok(Gs2::No);
    };
    // The bindings are ordered, the strongest first.
    if let Some(binding) = bindings
        .iter()
        .find(|binding| listed.contains(&binding.type_()))
    {
        return Ok(Gs2::Bound(binding.clone()));
    }
    // Two lists without an intersection that honest servers do have: tls-unique alone under
    // TLS 1.2, and the end point of a certificate whose signature has no hash of its own.
    if listed.contains(&Type::TlsServerEndPoint)
        || (listed.contains(&Type::TlsUnique)
            && !bindings
                .iter()
                .any(|binding| matches!(binding, Binding::Exporter(_))))
    {
        return Ok(Gs2::No);
    }
    Err(LoginFailure::ChannelBinding(
        "the server's list of ways to bind the login to the encryption is not plausible",
    ))
}

/// The server's offer in a line.
fn names(offered: &BTreeSet<String>) -> String {
    let names: Vec<_> = offered
        .iter()
        .take(NAMES)
        .map(|name| name.chars().take(NAME).collect::<String>())
        .map(|name| name.escape_debug().to_string())
        .collect();
    match &names[..] {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    }
}

/// Mechanisms that fit an error message.
const NAMES: usize = 10;

/// RFC 4422 §3.1: names have 20 characters at most.
const NAME: usize = 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use xmpp_parsers::sasl_cb::SaslChannelBinding;

    use super::*;

    const ALL: &[&str] = &[
        "PLAIN",
        "SCRAM-SHA-1",
        "SCRAM-SHA-1-PLUS",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256-PLUS",
    ];

    fn features(mechanisms: &[&str], listed: Option<&[Type]>) -> StreamFeatures {
        StreamFeatures {
            sasl_mechanisms: mechanisms.iter().map(|&name| name.to_owned()).collect(),
            sasl_cb: listed.map(|types| SaslChannelBinding {
                types: types.to_vec(),
            }),
            ..StreamFeatures::default()
        }
    }

    fn exporter() -> Binding {
        Binding::Exporter(vec![1; 32])
    }

    fn end_point() -> Binding {
        Binding::EndPoint(vec![2; 32])
    }

    fn tls_1_3() -> Security {
        Security::Tls(vec![exporter(), end_point()])
    }

    fn tls_1_2() -> Security {
        Security::Tls(vec![end_point()])
    }

    #[track_caller]
    fn chosen(
        mechanisms: &[&str],
        listed: Option<&[Type]>,
        security: &Security,
    ) -> (Mechanism, String) {
        let choice = Choice::among(&features(mechanisms, listed), security).unwrap();
        let header = match &choice {
            Choice::Plain => String::new(),
            Choice::Scram(_, gs2) => gs2.header(),
        };
        (choice.mechanism(), header)
    }

    #[test]
    fn prefers_the_longer_hash_and_the_binding() {
        let both = [Type::TlsServerEndPoint, Type::TlsExporter];
        let (mechanism, header) = chosen(ALL, Some(&both), &tls_1_3());
        assert_eq!(mechanism, Mechanism::ScramSha256Plus);
        assert_eq!(header, "p=tls-exporter,,");
    }

    #[test]
    fn prefers_a_bound_sha_1_to_an_unbound_sha_256() {
        let offered = ["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256"];
        let (mechanism, _) = chosen(&offered, Some(&[Type::TlsExporter]), &tls_1_3());
        assert_eq!(mechanism, Mechanism::ScramSha1Plus);
    }

    #[test]
    fn binds_to_what_the_server_lists() {
        let (_, header) = chosen(ALL, Some(&[Type::TlsServerEndPoint]), &tls_1_3());
        assert_eq!(header, "p=tls-server-end-point,,");
    }

    #[test]
    fn does_not_bind_where_only_tls_unique_can_be_meant() {
        let unique = Some(&[Type::TlsUnique][..]);
        for (listed, security) in [(None, tls_1_3()), (None, tls_1_2()), (unique, tls_1_2())] {
            let (mechanism, header) = chosen(ALL, listed, &security);
            assert_eq!(mechanism, Mechanism::ScramSha256);
            assert_eq!(header, "n,,");
        }
    }

    #[test]
    fn tells_the_server_that_its_offer_of_binding_is_missing() {
        let (mechanism, header) = chosen(&["PLAIN", "SCRAM-SHA-1"], None, &tls_1_3());
        assert_eq!(mechanism, Mechanism::ScramSha1);
        assert_eq!(header, "y,,");
    }

    #[test]
    fn cannot_bind_without_encryption() {
        let (mechanism, header) = chosen(ALL, None, &Security::Loopback);
        assert_eq!(mechanism, Mechanism::ScramSha256);
        assert_eq!(header, "n,,");
    }

    #[test]
    fn suspects_a_list_that_no_server_makes() {
        let features = features(ALL, Some(&[Type::TlsUniqueForTelnet]));
        let error = Choice::among(&features, &tls_1_3()).unwrap_err();
        assert!(matches!(error, LoginFailure::ChannelBinding(_)), "{error}");
    }

    #[test]
    fn sends_the_password_only_to_a_server_that_knows_nothing_better() {
        let (mechanism, _) = chosen(&["PLAIN", "SCRAM-SHA-1"], None, &tls_1_3());
        assert_eq!(mechanism, Mechanism::ScramSha1);
        let (mechanism, _) = chosen(&["PLAIN", "DIGEST-MD5"], None, &tls_1_3());
        assert_eq!(mechanism, Mechanism::Plain);
    }

    #[test]
    fn knows_when_it_can_do_nothing() {
        let error = Choice::among(&features(&["DIGEST-MD5"], None), &tls_1_3()).unwrap_err();
        assert!(error.to_string().contains("DIGEST-MD5"), "{error}");
    }

    #[test]
    fn names_what_the_server_offers_in_one_short_line() {
        let long = "X".repeat(1000);
        let error = Choice::among(&features(&["GSS\nAPI", &long], None), &tls_1_3()).unwrap_err();
        let line = error.to_string();
        assert!(line.len() < 200 && !line.contains('\n'), "{line}");
    }
}
