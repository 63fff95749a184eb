//! What the tests play on: servers, people, services, programs, and trouble.

mod content;
mod fuse;
mod gabble;
mod outsider;
mod person;
mod relay;
mod room;
mod service;
mod shared;
mod socket;
mod tap;
mod tripwire;

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::time::timeout;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};
use tubes::{Encryption, TransportName};
use tubes_protocol::tube::Setting;
use tubes_server::{Server, ServerKind};

pub(crate) use self::content::{Content, digest};
pub(crate) use self::fuse::{Fuse, Fused, Moment};
pub(crate) use self::gabble::{
    BOTH, BURST, Gabble, Host, InBand, Joining, LENGTH, Listener, Manner, Multiple, Negotiation,
    Offering, TUBE, dbus_tube, dial, dial_in_turn, echoes_in_band, purpose, stream_hash,
    stream_tube, stream_tube_with,
};
pub(crate) use self::outsider::Outsider;
pub(crate) use self::person::{KEYS, Person, befriended, credentials, lead, opened, pair};
pub(crate) use self::relay::{Relay, until_known};
pub(crate) use self::room::{enter, fresh_room};
pub(crate) use self::service::{Service, Serving, at_end, echo, exchange, until_served};
pub(crate) use self::shared::{Shared, share, share_as, share_between};
pub(crate) use self::socket::{Family, Place, Stream, connect, own_addresses, own_port};
pub(crate) use self::tap::{Meddling, Tap};
pub(crate) use self::tripwire::trip;

/// Makes a test of each function for one kind of server, in a module of this name.
#[macro_export]
macro_rules! on_server {
    ($module:ident, $kind:ident: $($name:ident),+ $(,)?) => {
        mod $module { $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            $crate::stage::on(tubes_server::ServerKind::$kind, super::$name).await;
        })+ }
    };
}

/// Makes a test of each function for each kind of server, such as `prosody::does_this`.
#[macro_export]
macro_rules! on_each_server {
    ($($name:ident),+ $(,)?) => {
        $crate::on_server!(embedded, Embedded: $($name),+);
        $crate::on_server!(prosody, Prosody: $($name),+);
        $crate::on_server!(ejabberd, Ejabberd: $($name),+);
    };
}

/// Makes of each function one that does the same over this transport.
#[macro_export]
macro_rules! over_transport {
    ($transport:ident: $($name:ident),+ $(,)?) => {
        $(async fn $name(server: &tubes_server::Server) {
            $crate::stage::over(tubes::TransportName::$transport, super::$name(server)).await;
        })+
    };
}

/// Makes a test of each function for each kind of server and each transport, such as
/// `prosody::does_this` and `socks5_direct::prosody::does_this`.
#[macro_export]
macro_rules! on_each_server_and_transport {
    ($($name:ident),+ $(,)?) => {
        $crate::on_each_server!($($name),+);
        mod socks5_direct {
            $crate::over_transport!(Socks5Direct: $($name),+);
            $crate::on_each_server!($($name),+);
        }
        mod socks5_proxy {
            $crate::over_transport!(Socks5Proxy: $($name),+);
            $crate::on_each_server!($($name),+);
        }
    };
}

/// Makes a test of each function for each kind of server, with people who do not encrypt, such as
/// `in_clear::prosody::does_this`.
#[macro_export]
macro_rules! in_clear_too {
    ($($name:ident),+ $(,)?) => {
        mod in_clear {
            $(async fn $name(server: &tubes_server::Server) {
                $crate::stage::in_clear(super::$name(server)).await;
            })+
            $crate::on_each_server!($($name),+);
        }
    };
}

/// Makes a test of each function for each kind of server, with people who meet in a room, such as
/// `in_room::prosody::does_this`.
#[macro_export]
macro_rules! in_rooms_too {
    ($($name:ident),+ $(,)?) => {
        mod in_room {
            $(async fn $name(server: &tubes_server::Server) {
                $crate::stage::in_room(super::$name(server)).await;
            })+
            $crate::on_each_server!($($name),+);
        }
    };
}

/// Runs a test on this kind of server, if that is wanted here.
pub(crate) async fn on<F: Future<Output = ()>>(
    kind: ServerKind,
    test: impl FnOnce(&'static Server) -> F,
) {
    set_up();
    if kind.wanted().unwrap() {
        // That has a limit of its own, and says what went wrong.
        let server = Server::shared(kind).await.unwrap();
        test(server).await;
    }
}

/// Runs a test, or a part of it, whose people carry bytes by this transport, and no other.
pub(crate) async fn over<T>(transport: TransportName, test: impl Future<Output = T>) -> T {
    TRANSPORT.scope(transport, test).await
}

/// What people carry bytes by, unless it is said where they log in. In-band, if the test does not
/// say otherwise: it depends on the session, which most of what can go wrong concerns.
pub(crate) fn transport() -> TransportName {
    TRANSPORT
        .try_with(|transport| *transport)
        .unwrap_or(TransportName::Ibb)
}

/// Runs a test, or a part of it, whose people do not encrypt.
pub(crate) async fn in_clear<T>(test: impl Future<Output = T>) -> T {
    ENCRYPTION.scope(Encryption::Off, test).await
}

/// Whether people encrypt, unless it is said where they log in. They do, if the test does not say
/// otherwise.
pub(crate) fn encryption() -> Encryption {
    ENCRYPTION
        .try_with(|encryption| *encryption)
        .unwrap_or_default()
}

/// Runs a test, or a part of it, whose people meet in a room.
pub(crate) async fn in_room<T>(test: impl Future<Output = T>) -> T {
    SETTING.scope(Setting::Room, test).await
}

/// Where Alice and a Gabble meet. They are contacts, if the test does not say otherwise.
pub(crate) fn setting() -> Setting {
    SETTING
        .try_with(|setting| *setting)
        .unwrap_or(Setting::Private)
}

tokio::task_local! {
    static TRANSPORT: TransportName;
    static ENCRYPTION: Encryption;
    static SETTING: Setting;
}

/// Waits for something that must happen; `what` says what did not.
pub(crate) async fn patiently<T>(what: &str, happening: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, happening).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("waited in vain until {what}"),
    }
}

/// What every test begins with.
pub(crate) fn set_up() {
    raise_descriptors();
    log();
}

/// The tests hold all ends of all connections. Where descriptors are few, nobody is told of a host.
fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Shows the log of a failing test, as far as `RUST_LOG` asks for it.
fn log() {
    let log = tracing_subscriber::fmt::layer()
        .with_test_writer()
        .with_filter(EnvFilter::from_default_env());
    // Another test of this process may have done it.
    let _ = tracing_subscriber::registry()
        .with(log)
        .with(tripwire::layer())
        .try_init();
}

/// Far longer than anything here takes, on a machine that is busy with other things, too; and longer than a
/// minute, after which those give up who wait for something that never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
