//! Two sessions agree on SOCKS5 bytestreams, or on in-band ones after those have failed: with all
//! that hosts and proxies may do wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod hosts;
mod peers;
mod proxy;
#[path = "../relay/mod.rs"]
mod relay;

mod bursts;
mod direct;
mod falling_back;
mod losses;
mod proxied;
mod revealing;
mod searching;

/// Makes a test of each function towards each kind of peer.
#[macro_export]
macro_rules! towards_each_kind {
    ($($name:ident),+ $(,)?) => {
        mod towards_ours { $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            super::$name(tubes_transport::Kind::Ours).await;
        })+ }
        mod towards_others { $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            super::$name(tubes_transport::Kind::Other).await;
        })+ }
    };
}
