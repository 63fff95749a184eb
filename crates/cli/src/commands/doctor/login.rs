//! What the login says: server, encryption, authentication, stream management.

use tubes::Login;
use tubes::session::StreamManagement;
use tubes::transport::Gone;

use super::Finding;
use crate::config::Profile;
use crate::exit::{Kind, Stop};

/// What a login that succeeded tells.
pub(super) fn findings(login: &Login, profile: &Profile) -> [(&'static str, Finding); 4] {
    let found = match &profile.server {
        Some(_) => "as configured",
        None => "as DNS has it",
    };
    let management = match login.terms.stream_management {
        StreamManagement::Offered => Finding::Fine(
            "offered: when the connection is lost for a moment, nothing else has to be".to_owned(),
        ),
        _ => Finding::Poor(
            "not offered: when the connection is lost, those through tubes are lost, too"
                .to_owned(),
        ),
    };
    [
        (
            "server",
            Finding::Fine(format!("{}, {found}", login.server)),
        ),
        ("encryption", Finding::Fine(encryption(login))),
        ("login", Finding::Fine(authentication(login))),
        ("stream_management", management),
    ]
}

/// The check that a login of this outcome failed.
pub(super) fn stage(kind: Kind) -> &'static str {
    match kind {
        Kind::Refused => "login",
        Kind::Untrusted => "encryption",
        _ => "server",
    }
}

pub(super) fn lost(gone: Gone) -> Stop {
    Stop::failed(Kind::Gone, gone.to_string())
}

fn encryption(login: &Login) -> String {
    let domain = login.jid.domain();
    match login.tls {
        Some(tls) => format!("{tls}, with a valid certificate for {domain}"),
        None => "none, but the server is on this machine".to_owned(),
    }
}

fn authentication(login: &Login) -> String {
    let (account, mechanism) = (login.jid.to_bare(), login.terms.mechanism);
    let how = match (login.terms.binding, mechanism) {
        (Some(binding), _) => format!("bound to the encryption by {binding}"),
        (None, "PLAIN") => "which gives the server the password itself".to_owned(),
        (None, _) => "not bound to the encryption".to_owned(),
    };
    format!("{account} by {mechanism}, {how}")
}
