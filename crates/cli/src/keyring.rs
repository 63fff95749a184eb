//! Passwords in the system's keyring: the Secret Service on Linux, Keychain, Credential Manager.

use keyring::Entry;
use keyring_core::Error;
use tubes::BareJid;

use crate::exit::Stop;

/// The account's password, if the keyring is there and has it.
///
/// Waits for the user where the keyring is locked and asks to be opened.
pub(crate) fn password(account: &BareJid) -> Result<Option<String>, Stop> {
    match Entry::new(SERVICE, account.as_str()) {
        Ok(entry) => read(&entry.inner, account),
        // A machine without a desktop has none; there are other places for a password.
        Err(why) => {
            tracing::info!(%why, "no keyring");
            Ok(None)
        }
    }
}

fn read(entry: &keyring_core::Entry, account: &BareJid) -> Result<Option<String>, Stop> {
    match entry.get_password() {
        Ok(password) if password.is_empty() => Err(complain(account, "an empty password")),
        Ok(password) => Ok(Some(password)),
        Err(Error::NoEntry) => Ok(None),
        Err(Error::Ambiguous(_)) => Err(complain(account, "several passwords")),
        // Not shown: it holds the password's bytes.
        Err(Error::BadEncoding(_)) => Err(complain(account, "a password that is no text")),
        Err(why) => {
            tracing::info!(%why, "the keyring gives no password");
            Ok(None)
        }
    }
}

fn complain(account: &BareJid, what: &str) -> Stop {
    Stop::Usage(format!(
        "the keyring has {what} for {account}: keep one with the attributes service={SERVICE} and \
         username={account}"
    ))
}

/// What the entry is found by, together with the account.
const SERVICE: &str = "tubes";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use keyring_core::api::CredentialStoreApi;
    use keyring_core::mock::{Cred, Store};

    use super::*;

    fn alice() -> BareJid {
        "alice@example.org".parse().unwrap()
    }

    fn entry() -> keyring_core::Entry {
        let store = Store::new().unwrap();
        store.build(SERVICE, alice().as_str(), None).unwrap()
    }

    fn failing(error: Error) -> Result<Option<String>, Stop> {
        let entry = entry();
        let mock: &Cred = entry.as_any().downcast_ref().unwrap();
        mock.set_error(error);
        read(&entry, &alice())
    }

    #[test]
    fn gives_the_password_that_was_stored() {
        let entry = entry();
        entry.set_password("se cret").unwrap();
        assert_eq!(read(&entry, &alice()), Ok(Some("se cret".to_owned())));
    }

    #[test]
    fn leaves_it_to_others_where_nothing_is_stored() {
        assert_eq!(read(&entry(), &alice()), Ok(None));
    }

    #[test]
    fn leaves_it_to_others_where_the_keyring_stays_locked() {
        let refused = Error::NoStorageAccess("dismissed".into());
        assert_eq!(failing(refused), Ok(None));
    }

    #[test]
    fn an_ambiguous_password_is_named_with_the_attributes() {
        let stop = failing(Error::Ambiguous(Vec::new())).unwrap_err();
        assert_eq!(stop.code(), 2);
        assert!(
            stop.to_string().contains("username=alice@example.org"),
            "{stop}"
        );
    }

    #[test]
    fn a_password_that_is_no_text_is_not_quoted() {
        let stop = failing(Error::BadEncoding(b"hunter2\xff".to_vec())).unwrap_err();
        assert!(!stop.to_string().contains("hunter2"), "{stop}");
    }
}
