//! The library as its users see it: Alice and Fernand, their programs and services, over each
//! kind of server.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod stage;

mod absence;
mod api;
mod blameless;
mod bounds;
mod breaks;
mod bursts;
mod closing;
mod crowds;
mod declining;
mod embedding;
mod examples;
mod exports;
mod fairness;
mod faults;
mod files;
mod gabble;
mod gabble_rooms;
mod gabble_socks5;
mod halves;
mod ladder;
mod leaving;
mod limits;
mod listener;
mod login;
mod outage;
mod panics;
mod pressure;
mod reconnecting;
mod reports;
mod rooms;
mod secrecy;
mod sharing;
mod sockets;
mod strangers;
mod tampering;
mod throttle;
mod trust;
mod volume;
