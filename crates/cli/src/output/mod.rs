//! What a command tells its user, as sentences or as events for programs.

mod bars;
mod file;
mod foreign;
mod human;
mod json;
mod log;
mod question;
mod report;

use std::io::{self, Write};

pub(crate) use self::bars::Bar;
pub(crate) use self::file::{
    Progress as FileProgress, Skipped as FileSkipped, report as report_of_file,
};
pub(crate) use self::foreign::{Foreign, Who, harmless, quoted};
pub(crate) use self::human::bytes;
pub(crate) use self::log::{Log, complain};
pub(crate) use self::question::Question;
pub(crate) use self::report::{
    Device, FellBack, Party, Proof, Report, Resource, Trust, Typed, Verdict, Why, milliseconds,
};
use crate::args::Format;
use crate::exit::{Kind, Stop};

/// Where reports go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
    to: Target,
}

impl Output {
    /// Reports on standard output.
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            to: Target::Stdout,
        }
    }

    /// Leaves standard output to the connection; sentences go to standard error instead.
    pub(crate) fn beside_stdio(self) -> Result<Self, Stop> {
        match self.format {
            Format::Human => Ok(Self {
                to: Target::Stderr,
                ..self
            }),
            Format::Json => Err(Stop::Usage(
                "--output json and a connection cannot both have standard output: listen on \
                 another address than `-`, or leave --output out"
                    .to_owned(),
            )),
        }
    }

    /// Tells nobody anything.
    pub(crate) fn muted(self) -> Self {
        Self {
            to: Target::Nowhere,
            ..self
        }
    }

    /// Tells of nothing but who is trusted from now on, and what is not encrypted.
    pub(crate) fn hushed(self) -> Self {
        Self {
            to: Target::Hushed,
            ..self
        }
    }

    /// Events for programs only: people are shown something better.
    pub(crate) fn for_programs(self) -> Self {
        match self.format {
            Format::Human => self.muted(),
            Format::Json => self,
        }
    }

    /// Whether programs read the reports.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Tells the user of something that happened.
    pub(crate) fn report(self, report: &Report) -> Result<(), Stop> {
        if self.to == Target::Hushed {
            return match report.concerns_trust() {
                true => Self {
                    to: Target::Stderr,
                    ..self
                }
                .report(report),
                false => Ok(()),
            };
        }
        let line = match self.format {
            Format::Human => human::lines(report),
            Format::Json => Some(json::line(report)?),
        };
        line.map_or(Ok(()), |line| self.write(&line))
    }

    /// Tells a human what the command is doing; programs learn from events alone.
    pub(crate) fn remark(self, sentence: &str) -> Result<(), Stop> {
        match self.format {
            Format::Human => self.write(&harmless(sentence)),
            Format::Json => Ok(()),
        }
    }

    fn write(self, line: &str) -> Result<(), Stop> {
        // In one piece: a reader never sees half a line.
        let line = format!("{line}\n");
        let line = line.as_bytes();
        let written = match self.to {
            Target::Hushed | Target::Nowhere => Ok(()),
            Target::Stderr => {
                question::beside(&io::stderr(), || io::stderr().lock().write_all(line))
            }
            Target::Stdout => question::beside(&io::stdout(), || {
                let mut stdout = io::stdout().lock();
                stdout.write_all(line).and_then(|()| stdout.flush())
            }),
        };
        written.map_err(|why| {
            Stop::failed(Kind::Io, format!("cannot write to standard output: {why}"))
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Hushed,
    Nowhere,
    Stderr,
    Stdout,
}
