//! `tubes completions`: what a shell completes after `tubes`.

use std::io::{self, Write};

use clap::CommandFactory;

use crate::args::{Args, Completions};
use crate::exit::Stop;

pub(crate) fn run(completions: &Completions) -> Result<(), Stop> {
    // clap_complete 4.6.11 panics where it cannot write; a vector takes everything.
    let mut script = Vec::new();
    clap_complete::generate(
        completions.shell,
        &mut Args::command(),
        "tubes",
        &mut script,
    );
    Ok(io::stdout().lock().write_all(&script)?)
}
