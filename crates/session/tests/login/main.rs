//! Logging in: what servers say, and what is made of it.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::expect_used, reason = "tests")]

mod binding;
mod fake;
mod real;
mod refusals;
mod strangers;
mod suspicion;

use tubes_session::{Account, Link, Login, LoginError, Session, SessionEvent, Tls};

/// Logs in without any feature, and says what the session says of it.
async fn log_in(account: Account) -> Result<Login, LoginError> {
    let (session, mut events) = Session::start(account, Vec::new()).await?;
    let event = events.recv().await.expect("an event");
    let SessionEvent::Link(Link::Reset(login)) = event else {
        panic!("the first event is {event:?}");
    };
    drop(session);
    Ok(login)
}

/// How a login fails.
async fn failure(account: Account) -> LoginError {
    match log_in(account).await {
        Ok(login) => panic!("logged in: {login:?}"),
        Err(error) => error,
    }
}

/// Alice, whose server listens on this port of this machine and does not encrypt.
fn alice(port: u16) -> Account {
    let account = Account::new("alice@tubes.test".parse().unwrap(), "pencil").unwrap();
    let account = account.with_server("127.0.0.1", port).unwrap();
    account.with_tls(Tls::None).unwrap()
}
