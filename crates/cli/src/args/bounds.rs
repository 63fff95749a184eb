//! How much to take on at a time.

use std::str::FromStr;

use tubes::Limits;

/// What a command takes on at most.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Bounds {
    /// Take on no more than this at a time: of connections, connections_per_contact, connections_per_tube,
    /// files, files_per_contact, invitations, invitations_per_contact, negotiations or
    /// negotiations_per_contact; may be given several times
    #[arg(long = "limit", value_name = "NAME=NUMBER")]
    bounds: Vec<Bound>,
}

impl Bounds {
    /// The defaults, with what was said instead.
    pub(crate) fn limits(&self) -> Limits {
        let bounds = self.bounds.iter();
        bounds.fold(Limits::new(), |limits, bound| {
            (bound.set)(limits, bound.most)
        })
    }
}

/// One of them, as `--limit` has it: `NAME=NUMBER`.
#[derive(Clone, Copy, Debug)]
struct Bound {
    set: Set,
    most: usize,
}

type Set = fn(Limits, usize) -> Limits;

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = text.split_once('=').ok_or_else(|| {
            format!("`{text}` is not NAME=NUMBER, for example connections_per_contact=8")
        })?;
        let known = NAMED.iter().find(|(known, _)| *known == name);
        let (_, set) = known.ok_or_else(|| {
            let names: Vec<_> = NAMED.iter().map(|(name, _)| *name).collect();
            format!("no limit is called `{name}`; there is {}", names.join(", "))
        })?;
        match number.parse() {
            Ok(most) if (1..=MOST).contains(&most) => Ok(Self { set: *set, most }),
            _ => Err(format!("{name} has to be a number from 1 to {MOST}")),
        }
    }
}

/// By the names that the event `limit_reached` has for them, as far as it tells them apart.
const NAMED: [(&str, Set); 9] = [
    ("connections", Limits::with_connections),
    (
        "connections_per_contact",
        Limits::with_connections_per_contact,
    ),
    ("connections_per_tube", Limits::with_connections_per_tube),
    ("files", Limits::with_files),
    ("files_per_contact", Limits::with_files_per_contact),
    ("invitations", Limits::with_invitations),
    (
        "invitations_per_contact",
        Limits::with_invitations_per_contact,
    ),
    ("negotiations", Limits::with_negotiations),
    (
        "negotiations_per_contact",
        Limits::with_negotiations_per_contact,
    ),
];

/// More than a machine has descriptors: whoever says more has made a slip.
const MOST: usize = 1_000_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use clap::{Args, Command};

    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (wrong, named) in [
            ("connections", "NAME=NUMBER"),
            ("tubes=3", "connections_per_tube, files"),
            ("Files=3", "`Files`"),
            ("files=0", "1 to 1000000"),
            ("files=1000001", "1 to 1000000"),
            ("files=-1", "files"),
            ("files=", "files"),
            ("files= 3", "files"),
        ] {
            let why = Bound::from_str(wrong).unwrap_err();
            assert!(why.contains(named), "{wrong}: {why}");
        }
        assert_eq!(Bound::from_str("files=1000000").unwrap().most, MOST);
    }

    #[test]
    fn the_help_has_every_name() {
        let mut command = Bounds::augment_args(Command::new("x"));
        let help = command.render_long_help().to_string();
        let help = help.split([' ', ',', ';', ':', '\n']);
        let words: Vec<_> = help.collect();
        for (name, _) in NAMED {
            assert!(words.contains(&name), "{name}");
        }
    }
}
