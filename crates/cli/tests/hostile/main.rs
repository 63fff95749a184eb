//! Misbehaviours, each a test of its own, against the binary: what it costs, whom it disturbs, and what
//! is left of it.
//!
//! ```text
//!   Fernand's program ──► tubes accept ═══ the honest tube ═══ tubes offer ──► an echo
//!                              ▲                                    ▲
//!                              └──────── Carol, by hand ────────────┘
//! ```
//!
//! A test [plans](plan::Plan) a [`Scene`](scene::Scene): what Carol is to the others ([`Standing`](plan::Standing)),
//! what carries the honest tube, and words for the two processes. It then says what she does, as a
//! closure that is called again and again, each time with the number of the strike, and by what
//! [`Sign`](withstanding::Sign) it is to be noticed:
//!
//! ```text
//!   let scene = Plan::new(Standing::Contact).with(&["-v"]).set().await;
//!   let alice = scene.alice.clone();
//!   scene.withstands(Sign::Log("…"), async |carol, blow| carol.say(…).await).await;
//! ```
//!
//! [`withstands`](scene::Scene::withstands) does the rest: it has the honest tube used in short rounds, has
//! Carol strike in a burst and then at a pace, and judges memory, output, if it is measured throughput, and
//! whether she is forgotten afterwards, so that she gets what anybody gets when she behaves. What it needs
//! of a misbehaviour is only that closure, so that she may as well be a proxy, a server or a neighbour of
//! the test's: the closure has them, and leaves Carol alone.
//! What she has to have before she begins (a stream, a name in a room) a test gets between `set` and
//! `withstands`; what is to be seen in the end it looks for in what `withstands` returns.
//!
//! - what Carol is: an [`Attacker`](attacker::Attacker), who has logged in and says any bytes (`attacker.rs`);
//!   what she says, as XML (`words.rs`)
//! - what she may have on her side: a server that meddles with what it carries for Fernand (`meddler.rs`),
//!   a proxy that lies (`liar.rs`)
//! - what is done once, or takes a while, is judged by [`outlives`](scene::Scene::outlives) (`outliving.rs`)
//! - what is measured: `honest.rs`, `measuring.rs`, `vitals.rs` of `endurance`; what is there for her in the
//!   end: `behaving.rs`
//! - whom she would harm beside Alice and Fernand: a [`Witness`](witness::Witness), by hand, too
//! - misbehaviours: one file for each noun that they are about
//!
//! Throughput is measured with `./test --full` ([why](measuring)); then these tests run one at a time.
//! Memory is read from `/proc`, so that there are no such tests elsewhere than on Linux.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "../program/mod.rs"]
mod program;
#[path = "../endurance/vitals.rs"]
#[allow(dead_code, reason = "it needs some of it")]
mod vitals;

mod attacker;
mod behaving;
mod honest;
mod liar;
mod measuring;
mod meddler;
mod outliving;
mod plan;
mod scene;
mod stanzas;
mod withstanding;
mod witness;
mod words;

mod attempts;
mod blocks;
mod endpoints;
mod files;
mod forgeries;
mod handshakes;
mod hosts;
mod initiations;
mod listener;
mod logins;
mod occupants;
mod offers;
mod presences;
mod proxies;
mod receivers;
mod servers;
mod shown;
mod streams;
