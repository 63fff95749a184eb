//! Share a local service with a contact over XMPP: the command line.
//!
//! ```text
//!   args + config + password ──► commands ──► exit
//!                                    │
//!                                 output (human, json)
//! ```

mod args;
mod chatter;
mod commands;
mod config;
mod exit;
mod feed;
mod hint;
mod interrupt;
#[cfg(feature = "keyring")]
mod keyring;
mod online;
mod output;
mod parameter;
mod password;
mod terminal;
#[cfg(test)]
mod visitor;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{Args, Global};
use crate::chatter::Chatter;
use crate::exit::{Kind, Stop, USAGE};
use crate::output::{Log, Output, Report, Why};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if error.use_stderr() => {
            output::complain(&exit::one_line(&error));
            return ExitCode::from(USAGE);
        }
        Err(help) => return show(&help),
    };
    start_log(&args.global);
    raise_descriptors();
    let output = Output::new(args.global.output);
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => conclude(stop, output),
    }
}

fn run(args: Args) -> Result<(), Stop> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Stop::from)?;
    let verdict = runtime.block_on(commands::run(args));
    // A thread may still be waiting for the terminal's next line: it is not worth waiting for.
    runtime.shutdown_background();
    verdict
}

/// Help and version, which a closed pipe (`tubes --help | head`) may cut short.
fn show(help: &clap::Error) -> ExitCode {
    match help.print() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Says why it ended: one line for people and, where programs read, an event for them.
fn conclude(stop: Stop, output: Output) -> ExitCode {
    // Of a wrong command line programs learn by the exit code: there are no events yet.
    let why = match &stop {
        Stop::Failed(trouble) => Some(trouble.into()),
        Stop::Incomplete(what) => Some(Why::new(Kind::Io, what)),
        _ => None,
    };
    if output.is_json()
        && let Some(why) = why
    {
        // If standard output is what failed, standard error still has the reason.
        let _ = output.report(&Report::Error(why));
    }
    if stop != Stop::Interrupted && stop != Stop::Terminated {
        output::complain(&output::harmless(&stop.to_string()));
    }
    stop.into()
}

/// Every connection takes a descriptor or two; the soft limit is often 1,024.
fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::info!(%error, "the limit on open files stays as it is");
    }
}

fn start_log(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info,tubes=debug",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Log)
        .with_ansi(io::stderr().is_terminal())
        .finish()
        .with(Chatter::default())
        .init();
    // tokio-xmpp logs the login at this level, and with PLAIN that is the password.
    log::set_max_level(log::max_level().min(log::LevelFilter::Debug));
}
