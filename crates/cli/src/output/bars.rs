//! Bars that show how far files have come, for people at a terminal.

use std::sync::OnceLock;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::quoted;

/// A file's bar; gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// One for a file of this name and size, of which so much is there. Where standard error is no terminal
    /// nothing is seen of it.
    pub(crate) fn new(name: &str, size: u64, bytes: u64) -> Self {
        let bar = ProgressBar::new(size).with_message(quoted(name));
        if let Ok(style) = ProgressStyle::with_template(LOOK) {
            bar.set_style(style);
        }
        let bar = all().add(bar);
        bar.set_position(bytes);
        // What was there before says nothing of the rate.
        bar.reset_eta();
        Self(bar)
    }

    pub(crate) fn set(&self, bytes: u64) {
        self.0.set_position(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
        all().remove(&self.0);
    }
}

/// Writes lines without tearing a bar.
pub(super) fn beside<T>(write: impl FnOnce() -> T) -> T {
    match ALL.get() {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// Draws no bars until they are shown again.
pub(super) fn hide() {
    // A terminal that is gone shows none.
    let _ = all().clear();
    all().set_draw_target(ProgressDrawTarget::hidden());
}

pub(super) fn show() {
    all().set_draw_target(ProgressDrawTarget::stderr());
}

fn all() -> &'static MultiProgress {
    ALL.get_or_init(MultiProgress::new)
}

/// They share the terminal.
static ALL: OnceLock<MultiProgress> = OnceLock::new();

/// The name, a bar, how much of how much, the rate, and the time that is left.
const LOOK: &str =
    "{wide_msg} [{bar:24}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
