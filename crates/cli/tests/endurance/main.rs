//! What the binary holds, and what it stands: slow readers, crowds, sudden deaths, and a lack
//! of descriptors.
//!
//! What is measured is read from `/proc`, so that there are no such tests elsewhere than on
//! Linux.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "../program/mod.rs"]
mod program;
mod stage;
mod vitals;

mod crowd;
mod death;
mod descriptors;
mod memory;
