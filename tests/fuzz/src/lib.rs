//! Everything that reads what a peer or a server sends, fed with anything.
//!
//! ```text
//!   bytes ──► a target: reads them as XML, as DNS, or as the steps of a run ──► panics if wrong
//!     ▲
//!     └── libFuzzer (bin/, ./test --fuzz) · the committed corpora (tests/replay.rs, ./test)
//! ```
//!
//! A target checks properties rather than looks for crashes alone: what was read is within its
//! bounds and reads the same once it is written; a machine keeps order, promises and limits.
//!
//! - of elements: [`si`], [`tube`], [`abilities`], [`ibb_element`], [`socks5_element`],
//!   [`secure_element`], [`file_offer`]
//! - of files: [`trust_file`]; of their names: [`file_name`]
//! - of machines: [`si_machines`], [`tube_machines`], [`room`], [`ibb_machine`], [`ibb_pair`],
//!   [`socks5_course`], [`socks5_frame`], [`socks5_handshake`]
//! - of the session, which has them within: [`dns`], [`features`], [`filter`], [`login`],
//!   [`router`], [`scram`]

mod abilities;
mod file_name;
mod file_offer;
mod ibb_element;
mod ibb_machine;
mod ibb_pair;
mod room;
mod secure_element;
mod si;
mod si_machines;
mod socks5_course;
mod socks5_element;
mod socks5_frame;
mod socks5_handshake;
mod trust_file;
mod tube;
mod tube_machines;
mod xml;

/// The two ends by which the transport's own tests check it.
#[allow(clippy::expect_used, reason = "it panics where something is wrong")]
#[path = "../../../transports/ibb/tests/machine/pair.rs"]
mod pair;

pub use tubes_session::fuzzing::{dns, features, filter, login, router, scram};

pub use self::abilities::abilities;
pub use self::file_name::file_name;
pub use self::file_offer::file_offer;
pub use self::ibb_element::ibb_element;
pub use self::ibb_machine::ibb_machine;
pub use self::ibb_pair::ibb_pair;
pub use self::room::room;
pub use self::secure_element::secure_element;
pub use self::si::si;
pub use self::si_machines::si_machines;
pub use self::socks5_course::socks5_course;
pub use self::socks5_element::socks5_element;
pub use self::socks5_frame::socks5_frame;
pub use self::socks5_handshake::socks5_handshake;
pub use self::trust_file::trust_file;
pub use self::tube::tube;
pub use self::tube_machines::tube_machines;

/// A target, and the name of its corpus and of the fuzzer's program for it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Takes any bytes; panics where something is wrong.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 23] = [
    Target {
        name: "abilities",
        run: abilities,
    },
    Target {
        name: "dns",
        run: dns,
    },
    Target {
        name: "features",
        run: features,
    },
    Target {
        name: "file_name",
        run: file_name,
    },
    Target {
        name: "file_offer",
        run: file_offer,
    },
    Target {
        name: "filter",
        run: filter,
    },
    Target {
        name: "ibb_element",
        run: ibb_element,
    },
    Target {
        name: "ibb_machine",
        run: ibb_machine,
    },
    Target {
        name: "ibb_pair",
        run: ibb_pair,
    },
    Target {
        name: "login",
        run: login,
    },
    Target {
        name: "room",
        run: room,
    },
    Target {
        name: "router",
        run: router,
    },
    Target {
        name: "scram",
        run: scram,
    },
    Target {
        name: "secure_element",
        run: secure_element,
    },
    Target {
        name: "si",
        run: si,
    },
    Target {
        name: "si_machines",
        run: si_machines,
    },
    Target {
        name: "socks5_course",
        run: socks5_course,
    },
    Target {
        name: "socks5_element",
        run: socks5_element,
    },
    Target {
        name: "socks5_frame",
        run: socks5_frame,
    },
    Target {
        name: "socks5_handshake",
        run: socks5_handshake,
    },
    Target {
        name: "trust_file",
        run: trust_file,
    },
    Target {
        name: "tube",
        run: tube,
    },
    Target {
        name: "tube_machines",
        run: tube_machines,
    },
];
