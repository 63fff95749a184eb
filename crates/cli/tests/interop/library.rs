//! The libraries that somebody else wrote, and the drivers for them.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use tokio::sync::OnceCell;

use crate::workshop::{self, Workshop};

/// Who speaks file transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    Gloox,
    Qxmpp,
    Slixmpp,
}

impl Library {
    /// The words that start its driver, which is built if need be; none where the library is not
    /// installed, which fails with `CI` set in the environment.
    pub(crate) async fn driver(self) -> Option<&'static [OsString]> {
        static DRIVERS: [OnceCell<Option<Vec<OsString>>>; 3] = [const { OnceCell::const_new() }; 3];
        let cell = &DRIVERS[self as usize];
        let building = cell.get_or_init(|| async move {
            let building = tokio::task::spawn_blocking(move || self.build());
            building.await.expect("the driver is built")
        });
        building.await.as_deref()
    }

    fn build(self) -> Option<Vec<OsString>> {
        if let Some(package) = self.missing(succeeds) {
            skip(self, package, std::env::var_os("CI"));
            return None;
        }
        let workshop = Workshop::new();
        let words = match self {
            Self::Gloox => vec![workshop.compile("gloox", &["gloox"])],
            Self::Qxmpp => vec![workshop.compile("qxmpp", &QT)],
            Self::Slixmpp => vec![
                workshop.environment("slixmpp").join("bin/python"),
                workshop::sources().join("slixmpp/driver.py"),
            ],
        };
        Some(words.into_iter().map(PathBuf::into_os_string).collect())
    }

    /// The first Debian package that is not there.
    fn missing(self, works: impl Fn(&[&str]) -> bool) -> Option<&'static str> {
        let needs: &[(&[&str], &str)] = match self {
            Self::Gloox => &[
                COMPILER,
                PKG_CONFIG,
                (&["pkg-config", "--exists", "gloox"], "libgloox-dev"),
            ],
            Self::Qxmpp => &[
                COMPILER,
                PKG_CONFIG,
                // It brings what is needed of Qt.
                (&["pkg-config", "--exists", "qxmpp"], "libqxmpp-dev"),
            ],
            Self::Slixmpp => &[(&["python3", "-c", "import ensurepip"], "python3-venv")],
        };
        let missing = needs.iter().find(|(words, _)| !works(words));
        missing.map(|(_, package)| *package)
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gloox => "gloox",
            Self::Qxmpp => "QXmpp",
            Self::Slixmpp => "slixmpp",
        })
    }
}

/// Says so, and fails in continuous integration.
fn skip(library: Library, package: &str, ci: Option<OsString>) {
    let skipped = format!("{library} is missing: install the Debian package `{package}`");
    assert!(ci.is_none(), "{skipped}");
    eprintln!("skipped: {skipped}");
}

fn succeeds(words: &[&str]) -> bool {
    let (program, arguments) = words.split_first().unwrap();
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// What QXmpp's headers need of Qt.
const QT: [&str; 4] = ["qxmpp", "Qt5Core", "Qt5Network", "Qt5Xml"];

const COMPILER: (&[&str], &str) = (&["c++", "--version"], "build-essential");

const PKG_CONFIG: (&[&str], &str) = (&["pkg-config", "--version"], "pkg-config");

#[test]
fn the_package_of_a_missing_library_is_named() {
    let all_but_libraries = |words: &[&str]| !words.contains(&"--exists");
    assert_eq!(
        Library::Gloox.missing(all_but_libraries),
        Some("libgloox-dev")
    );
    assert_eq!(
        Library::Qxmpp.missing(all_but_libraries),
        Some("libqxmpp-dev")
    );
    assert_eq!(Library::Slixmpp.missing(|_| false), Some("python3-venv"));
    assert_eq!(Library::Gloox.missing(|_| true), None);
}

#[test]
fn a_missing_library_is_skipped() {
    skip(Library::Gloox, "libgloox-dev", None);
}

#[test]
#[should_panic(expected = "gloox is missing: install the Debian package `libgloox-dev`")]
fn a_missing_library_fails_in_continuous_integration() {
    skip(Library::Gloox, "libgloox-dev", Some("true".into()));
}
