//! Which options, or which command, would mend what the library says has failed.

use tubes::session::{AccountError, CertificateFault, LoginFailure};
use tubes::{Failure, Remedy, StartError};

/// What failed, and which options would mend it.
pub(crate) fn failure(failure: &Failure) -> String {
    let hint = match &failure.remedy {
        Some(Remedy::AcceptKey { contact, key }) => {
            Some(format!("`tubes trust accept {contact} {key}`"))
        }
        Some(Remedy::AllowPlain) => Some("--encryption preferred".to_owned()),
        Some(Remedy::OtherName) => Some("--nick".to_owned()),
        Some(Remedy::RoomPassword) => Some("--room-password-file".to_owned()),
        Some(Remedy::StopEncrypting) => {
            Some("`encryption = \"off\"` for it in the configuration".to_owned())
        }
        _ => None,
    };
    with(&failure.message, hint.as_deref())
}

/// Why the account did not start, and which options would mend it.
pub(crate) fn start(error: &StartError) -> String {
    let hint = match error {
        StartError::Login(login) => of_login(login.reason()),
        _ => None,
    };
    with(&error.to_string(), hint)
}

/// Why it is no account, and which option would mend it.
pub(crate) fn account(error: &AccountError) -> String {
    let hint = match error {
        AccountError::NotLoopback(_) => Some(ENCRYPT),
        _ => None,
    };
    with(&error.to_string(), hint)
}

fn of_login(failure: &LoginFailure) -> Option<&'static str> {
    match failure {
        LoginFailure::Certificate(CertificateFault::UnknownIssuer) => Some("--ca-file"),
        LoginFailure::Certificate(CertificateFault::WrongName(_))
        | LoginFailure::HostUnknown { .. }
        | LoginFailure::NoEncryption
        | LoginFailure::Unreachable(_) => Some("--server"),
        LoginFailure::NotLoopback(_) => Some(ENCRYPT),
        LoginFailure::NotTls => Some("--server, --tls"),
        _ => None,
    }
}

fn with(message: &str, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{message} ({hint})"),
        None => message.to_owned(),
    }
}

/// What a session needs that leaves this machine.
const ENCRYPT: &str = "drop --tls none";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use tubes::{Account, FailureKind};

    use super::*;

    fn said(remedy: Option<Remedy>) -> String {
        failure(&Failure {
            kind: FailureKind::Untrusted,
            message: "no".to_owned(),
            remedy,
        })
    }

    #[test]
    fn what_mends_a_failure_is_named_as_the_command_line_has_it() {
        assert_eq!(said(None), "no");
        assert_eq!(
            said(Some(Remedy::AllowPlain)),
            "no (--encryption preferred)"
        );
        assert_eq!(said(Some(Remedy::OtherName)), "no (--nick)");
        let password = said(Some(Remedy::RoomPassword));
        assert_eq!(password, "no (--room-password-file)");
        let off = said(Some(Remedy::StopEncrypting));
        assert_eq!(
            off,
            "no (`encryption = \"off\"` for it in the configuration)"
        );
    }

    #[test]
    fn the_key_to_accept_stands_in_the_command_that_accepts_it() {
        let contact = "fernand@example.net".parse().unwrap();
        let key = tubes::secure::PublicKey::from([8; 32]).fingerprint();
        let command = format!("(`tubes trust accept fernand@example.net {key}`)");
        let said = said(Some(Remedy::AcceptKey { contact, key }));
        assert!(said.ends_with(&command), "{said}");
    }

    #[test]
    fn an_account_that_must_encrypt_is_told_by_which_option() {
        let made = Account::new("alice@example.org".parse().unwrap(), "secret".to_owned());
        let elsewhere = made.unwrap().with_server("192.0.2.1", 5222).unwrap();
        let error = elsewhere.with_tls(tubes::Tls::None).unwrap_err();
        assert!(account(&error).ends_with("(drop --tls none)"), "{error}");
    }

    #[test]
    fn a_login_is_told_which_options_may_be_wrong() {
        let unknown = CertificateFault::UnknownIssuer;
        let elsewhere = CertificateFault::WrongName("example.org".to_owned());
        for (failure, option) in [
            (LoginFailure::Certificate(unknown), Some("--ca-file")),
            (LoginFailure::Certificate(elsewhere), Some("--server")),
            (LoginFailure::NoEncryption, Some("--server")),
            (LoginFailure::NotTls, Some("--server, --tls")),
            (LoginFailure::NotProven, None),
        ] {
            assert_eq!(of_login(&failure), option, "{failure}");
        }
    }
}
