//! Where drivers are made: compiled, or given an environment of Python, once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// A folder beside Cargo's own, for what is made from `tests/interop`.
pub(crate) struct Workshop {
    folder: PathBuf,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let folder = target.join("interop");
        fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    /// The program made of `NAME/driver.cpp`, compiled again where a source is newer.
    pub(crate) fn compile(&self, name: &str, libraries: &[&str]) -> PathBuf {
        let program = self.folder.join(name);
        let source = sources().join(name).join("driver.cpp");
        let used = [
            &source,
            &sources().join("driver.h"),
            &sources().join("sha256.h"),
        ];
        if used.iter().all(|file| is_newer(&program, file)) {
            return program;
        }
        let mut asking = Command::new("pkg-config");
        let flags = run(asking.args(["--cflags", "--libs"]).args(libraries));
        let unfinished = self.unfinished(name);
        let mut compiling = Command::new("c++");
        run(compiling
            .args(["-std=c++17", "-O1", "-fPIC", "-Wall", "-Wextra", "-o"])
            .args([&unfinished, &source])
            .args(flags.split_whitespace()));
        fs::rename(unfinished, &program).unwrap();
        program
    }

    /// An environment of Python with what `NAME/requirements.txt` asks for, made again where that
    /// is newer.
    pub(crate) fn environment(&self, name: &str) -> PathBuf {
        let environment = self.folder.join(name);
        let complete = environment.join("complete");
        let requirements = sources().join(name).join("requirements.txt");
        if is_newer(&complete, &requirements) {
            return environment;
        }
        let mut making = Command::new("python3");
        run(making.args(["-m", "venv", "--clear"]).arg(&environment));
        let mut installing = Command::new(environment.join("bin/pip"));
        run(installing
            .args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(requirements));
        fs::write(complete, "").unwrap();
        environment
    }

    /// Where a program is until it is complete: two may be making it.
    fn unfinished(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{}", std::process::id()))
    }
}

/// Where the sources of the drivers are.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop")
}

fn is_newer(made: &Path, source: &Path) -> bool {
    let changed = |path| fs::metadata(path).and_then(|file| file.modified());
    let at_last = changed(source).unwrap();
    changed(made).unwrap_or(SystemTime::UNIX_EPOCH) > at_last
}

/// What it prints; it must succeed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {said}");
    String::from_utf8(output.stdout).unwrap()
}
