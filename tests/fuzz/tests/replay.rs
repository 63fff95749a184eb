//! What the fuzzer was fed and what it once found, on every ordinary test run.
#![allow(
    clippy::unwrap_used,
    reason = "a file that cannot be read fails the test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use tubes_fuzz::{TARGETS, Target};

/// Each target on its own, so that a finding is named after it.
macro_rules! replays {
    ($($target:ident),* $(,)?) => {
        mod replays {
            $(
                #[test]
                fn $target() {
                    super::replay(stringify!($target));
                }
            )*

            pub(super) const NAMES: &[&str] = &[$(stringify!($target)),*];
        }
    };
}

replays!(
    abilities,
    dns,
    features,
    file_name,
    file_offer,
    filter,
    ibb_element,
    ibb_machine,
    ibb_pair,
    login,
    room,
    router,
    scram,
    secure_element,
    si,
    si_machines,
    socks5_course,
    socks5_element,
    socks5_frame,
    socks5_handshake,
    trust_file,
    tube,
    tube_machines,
);

#[test]
fn every_target_is_replayed_and_has_a_program_and_a_corpus() {
    let targets: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(replays::NAMES, targets);
    assert_eq!(stems("bin"), targets);
    assert_eq!(stems("corpus"), targets);
    // Not every target has found something.
    for target in stems("crashes") {
        assert!(
            targets.contains(&&*target),
            "crashes of no target: {target}"
        );
    }
}

#[test]
fn inputs_are_few_and_small() {
    for target in TARGETS {
        let corpus = inputs("corpus", target);
        assert!(!corpus.is_empty(), "{}", target.name);
        assert!(corpus.len() <= MOST_INPUTS, "{}: minimise it", target.name);
        for input in corpus {
            let length = fs::metadata(&input).unwrap().len();
            assert!(length <= LONGEST_INPUT, "{}: {length}", input.display());
        }
    }
}

fn replay(name: &str) {
    let target = *TARGETS.iter().find(|target| target.name == name).unwrap();
    for input in ["corpus", "crashes"]
        .map(|folder| inputs(folder, target))
        .concat()
    {
        // Shown when the target panics.
        println!("{}", input.display());
        (target.run)(&fs::read(input).unwrap());
    }
}

fn inputs(folder: &str, target: Target) -> Vec<PathBuf> {
    listed(&Path::new(folder).join(target.name))
}

fn stems(folder: &str) -> Vec<String> {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    listed(Path::new(folder)).into_iter().map(stem).collect()
}

/// What is in a folder of this package, in order; nothing if there is none.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// A corpus is to be read, and replayed within moments: the fuzzer grows its own from it.
const MOST_INPUTS: usize = 120;

/// In bytes.
const LONGEST_INPUT: u64 = 8 * 1024;
