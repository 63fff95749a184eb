//! The examples that are about more than one thing.

mod bot;
mod desktop;
mod room;
mod screen;
