//! The examples that are about more than one thing.

mod bot;
mod desktop;
mod files;
mod room;
mod screen;
