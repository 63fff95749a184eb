//! The rules of the house that no lint knows.

#![allow(
    clippy::unwrap_used,
    reason = "a file that cannot be read fails the test"
)]

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn no_source_file_is_longer_than_four_hundred_lines() {
    assert_none(offences(&sources(), |file| {
        let lines = file.text.lines().count();
        (lines > LONGEST)
            .then(|| format!("{lines} lines: split it by noun"))
            .into_iter()
            .collect()
    }));
}

#[test]
fn every_source_file_begins_with_what_it_is() {
    assert_none(offences(&sources(), |file| {
        (!file.text.starts_with("//! "))
            .then(|| "does not begin with a `//!` sentence".to_owned())
            .into_iter()
            .collect()
    }));
}

#[test]
fn no_file_is_named_after_nothing() {
    assert_none(offences(&all_rust(), |file| {
        file.path
            .iter()
            .filter_map(|part| Path::new(part).file_stem()?.to_str())
            .filter(|name| NAMES_OF_NOTHING.contains(name))
            .map(|name| format!("`{name}` is no noun: put things where they belong"))
            .collect()
    }));
}

#[test]
fn machines_know_neither_a_runtime_nor_a_clock() {
    let pure: Vec<_> = sources()
        .into_iter()
        .filter(|file| {
            file.path.ends_with("machine.rs") || PURE.iter().any(|pure| file.is_under(pure))
        })
        .collect();
    assert!(!pure.is_empty());
    assert_none(offences(&pure, |file| {
        ["tokio", "Instant::now", "SystemTime::now"]
            .into_iter()
            .flat_map(|word| lines_with(&file.text, |line| line.contains(word)))
            .collect()
    }));
}

#[test]
fn actors_carry_no_bytes() {
    let actors: Vec<_> = sources()
        .into_iter()
        .filter(|file| file.is_under("crates/actors"))
        .collect();
    assert!(!actors.is_empty());
    assert_none(offences(&actors, |file| {
        lines_with(&file.text, holds_bytes)
    }));
}

#[test]
fn the_rule_against_bytes_knows_a_field_when_it_sees_one() {
    for field in [
        "data: Bytes,",
        "Data(Bytes),",
        "rest: Option<Bytes>,",
        "block: Vec<u8>,",
    ] {
        assert!(holds_bytes(field), "{field}");
    }
    assert!(!holds_bytes("sent_bytes: u64,"));
    assert!(!holds_bytes("Value::Bytes(_) => Kind::Bytes,"));
    assert!(!holds_bytes("open: HashMap<u64, Addr<BytestreamActor>>,"));
}

#[test]
fn only_the_crates_meant_for_it_depend_on_the_frameworks() {
    let mut offenders = Vec::new();
    for manifest in manifests() {
        let folder = manifest
            .path
            .parent()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        for dependency in dependencies(&manifest.text) {
            let allowed = WHO_MAY
                .iter()
                .find(|(name, _)| *name == dependency)
                .is_none_or(|(_, folders)| folders.contains(&folder.as_str()));
            if !allowed {
                offenders.push(format!("{}: {dependency}", manifest.path.display()));
            }
        }
    }
    assert_none(offenders);
}

#[test]
fn every_transport_is_run_through_the_compliance_suite() {
    let transports = fs::read_dir(root().join("transports")).unwrap();
    let suites: Vec<_> = transports
        .map(|folder| folder.unwrap().path().join("tests/compliance.rs"))
        .collect();
    assert!(!suites.is_empty());
    let missing = suites.iter().filter(|suite| {
        !fs::read_to_string(suite).is_ok_and(|text| text.contains("tubes_testkit::compliance!"))
    });
    assert_none(missing.map(|suite| suite.display().to_string()).collect());
}

#[test]
fn the_protocol_depends_on_no_runtime() {
    let manifest = read(Path::new("crates/protocol/Cargo.toml"));
    let runtimes: Vec<_> = dependencies(&manifest.text)
        .into_iter()
        .filter(|name| name.starts_with("tokio") || name.starts_with("actix"))
        .collect();
    assert_none(runtimes);
}

#[test]
fn every_row_of_the_threat_model_names_tests_that_exist() {
    let security = read(Path::new("docs/security.md"));
    let rust = all_rust();
    let mut missing = Vec::new();
    let rows = rows_of_threats(&security.text);
    assert!(rows.len() > 1);
    for (who, tests) in rows {
        if tests.is_empty() {
            missing.push(format!("{who}: no test"));
        }
        let unknown = tests
            .iter()
            .filter(|test| !rust.iter().any(|file| has_test(file, test)));
        missing.extend(unknown.map(|test| format!("{who}: there is no test `{test}`")));
    }
    assert_none(missing);
}

/// Names that stand nowhere would silently not be run.
#[test]
fn every_misbehaviour_that_is_tried_each_time_exists() {
    let script = read(&root().join("test")).text;
    let (_, named) = script.split_once("\nHOSTILE=(\n").unwrap();
    let named = named.lines().map(str::trim).take_while(|name| *name != ")");
    let mut suite = all_rust();
    suite.retain(|file| file.is_under("crates/cli/tests/hostile"));
    let is_missing = |name: &&str| !suite.iter().any(|file| has_test(file, name));
    assert_none(named.filter(is_missing).map(str::to_owned).collect());
}

#[test]
fn a_test_of_the_threat_model_is_looked_for_where_it_is_said_to_be() {
    let file = File {
        path: PathBuf::from("tests/end_to_end/rooms/trust.rs"),
        text: "mod named {\n #[test]\n fn a_name() {}\n}\n".to_owned(),
    };
    for found in [
        "a_name",
        "trust::a_name",
        "rooms::*::named::a_name",
        "rooms::*",
    ] {
        assert!(has_test(&file, found), "{found}");
    }
    for missing in ["a_nam", "name", "listener::a_name", "listener::*", "*"] {
        assert!(!has_test(&file, missing), "{missing}");
    }
    let table = "| who | tests |\n|---|---|\n| **A `x`** | may `y` | `a::*`, `b` |\n";
    let rows = rows_of_threats(table);
    assert_eq!(rows, [("**A `x`**", vec!["a::*", "b"])]);
}

#[test]
fn comments_and_unit_tests_are_not_judged() {
    let text = "// bad\ngood\nbad\n#[cfg(test)]\nmod tests { bad }\n";
    assert_eq!(
        lines_with(text, |line| line.contains("bad")),
        ["line 3: bad"]
    );
}

#[test]
fn dependencies_are_read_from_every_table_of_them() {
    let manifest = "\
        [workspace.dependencies]\na = \"1\"\n\
        [dependencies]\nb.workspace = true\n# c = \"1\"\n\
        [dev-dependencies]\nd = { path = \"d\" }\n\
        [target.'cfg(unix)'.dependencies]\ne = \"1\"\n\
        [dependencies.f]\nversion = \"1\"\n\
        [lints]\nworkspace = true\n";
    assert_eq!(dependencies(manifest), ["b", "d", "e", "f"]);
}

/// A file of the repository; its path is relative to the root.
struct File {
    path: PathBuf,
    text: String,
}

impl File {
    fn is_under(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }
}

fn assert_none(offenders: Vec<String>) {
    assert!(offenders.is_empty(), "\n{}\n", offenders.join("\n"));
}

fn offences(files: &[File], rule: impl Fn(&File) -> Vec<String>) -> Vec<String> {
    files
        .iter()
        .flat_map(|file| {
            rule(file)
                .into_iter()
                .map(|what| format!("{}: {what}", file.path.display()))
        })
        .collect()
}

/// The lines of code, without comments and unit tests, that a rule complains about.
fn lines_with(text: &str, complains: impl Fn(&str) -> bool) -> Vec<String> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .filter(|(_, line)| complains(line))
        .map(|(number, line)| format!("line {}: {}", number + 1, line.trim()))
        .collect()
}

/// Who stands in each row of the table of threats, and the tests that are named there.
fn rows_of_threats(text: &str) -> Vec<(&str, Vec<&str>)> {
    let rows = text.lines().filter(|line| line.starts_with("| **"));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let tests = cells.last().unwrap().split('`').skip(1).step_by(2);
        (cells[0], tests.collect())
    })
    .collect()
}

/// Whether a test stands in the file that has this name, or any in this module: `module::*::test`,
/// `module::*`. Modules are files, folders, and what is so called in the file.
fn has_test(file: &File, name: &str) -> bool {
    let (modules, test) = match name.rsplit_once("::") {
        Some((modules, test)) => (modules.split("::").collect(), test),
        None => (Vec::new(), name),
    };
    let is_module = |module: &str| {
        let is_part = |part| {
            Path::new(part)
                .file_stem()
                .is_some_and(|stem| stem == module)
        };
        file.path.iter().any(is_part) || file.text.contains(&format!("mod {module} {{"))
    };
    let is_there = match test {
        "*" => {
            !modules.is_empty()
                && ["test]", "test(", "::on_each_"]
                    .iter()
                    .any(|mark| file.text.contains(mark))
        }
        test => file.text.contains(&format!("fn {test}(")),
    };
    let mut named = modules.iter().filter(|module| **module != "*");
    is_there && named.all(|module| is_module(module))
}

/// Whether something in the line has bytes for a type: a field, or what a generic one holds.
fn holds_bytes(line: &str) -> bool {
    let typed = [": Bytes", "(Bytes", "<Bytes"].into_iter().any(|field| {
        line.match_indices(field)
            .filter_map(|(at, _)| line.get(at + field.len()..))
            .any(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
    });
    typed || line.contains("BytesMut") || line.contains("Vec<u8>")
}

/// The names in every table of dependencies of a manifest, except the workspace's own.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut within = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            within = table.ends_with("dependencies") && !table.starts_with("workspace");
            if let Some((_, name)) = table.split_once("dependencies.") {
                names.push(name.to_owned());
            }
        } else if within && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            names.extend((!name.is_empty()).then(|| name.to_owned()));
        }
    }
    names
}

fn manifests() -> Vec<File> {
    let mut manifests = vec![read(Path::new("Cargo.toml"))];
    for group in ["crates", "transports"] {
        for folder in fs::read_dir(root().join(group)).unwrap() {
            let manifest = folder.unwrap().path().join("Cargo.toml");
            if manifest.exists() {
                manifests.push(read(manifest.strip_prefix(root()).unwrap()));
            }
        }
    }
    manifests
}

/// What is compiled into the crates, their unit tests included.
fn sources() -> Vec<File> {
    all_rust()
        .into_iter()
        .filter(|file| file.path.iter().any(|part| part == "src"))
        .collect()
}

fn all_rust() -> Vec<File> {
    let mut paths = Vec::new();
    for folder in ["crates", "transports", "tests", "examples", "benches"] {
        collect_rust(&root().join(folder), &mut paths);
    }
    assert!(!paths.is_empty());
    paths
        .iter()
        .map(|path| read(path.strip_prefix(root()).unwrap()))
        .collect()
}

fn collect_rust(folder: &Path, found: &mut Vec<PathBuf>) {
    // Not every group of files exists from the first day.
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect_rust(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> File {
    File {
        path: path.to_owned(),
        text: fs::read_to_string(root().join(path)).unwrap(),
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file that needs more lines than this holds more than one thing.
const LONGEST: usize = 400;

/// Protocol logic, which takes time and randomness as arguments.
const PURE: &[&str] = &[
    "crates/protocol",
    "transports/ibb/src/machine",
    "transports/ibb/src/inbound.rs",
    "transports/ibb/src/outbound.rs",
    "transports/ibb/src/window.rs",
    "transports/ibb/src/farewell.rs",
];

/// Names that say nothing about what is in the file.
const NAMES_OF_NOTHING: [&str; 6] = ["common", "helpers", "misc", "prelude", "types", "utils"];

/// The folders whose manifests may name a framework; the root package is the façade.
const WHO_MAY: [(&str, &[&str]); 3] = [
    ("actix", &["", "crates/actors"]),
    ("actix-rt", &["", "crates/actors"]),
    ("tokio-xmpp", &["crates/server", "crates/session"]),
];
