//! A receiver that dies without a word.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use tubes_files::Destination;

use crate::{Place, offered, sha256, some_bytes};

#[test]
fn what_a_killed_receiver_has_written_is_gone_on_with() {
    if let Some(folder) = env::var_os(FOLDER) {
        return receive(Path::new(&folder));
    }
    let bytes = some_bytes(SIZE);
    for round in 1..=5 {
        let place = Place::new();
        // Each dies further on than the one before.
        for death in 1..=3 {
            let length = (death * SIZE / 4 + round * 1_000) as u64;
            let mut receiver = Receiver::start(&place);
            receiver.wait_for(&place, length);
            receiver.kill();
            let partial = place.destination().begin(&offered("a", &bytes)).unwrap();
            assert!(partial.offset() >= length);
        }
        let mut partial = place.destination().begin(&offered("a", &bytes)).unwrap();
        let from = usize::try_from(partial.offset()).unwrap();
        partial.append(&bytes[from..]).unwrap();
        partial.finish(Some(sha256(&bytes))).unwrap();
        assert_eq!(place.names(), ["a"]);
        assert_eq!(fs::read(place.at("a")).unwrap(), bytes);
    }
}

/// Receives all but the last byte, and waits for its end.
fn receive(folder: &Path) {
    let bytes = some_bytes(SIZE);
    let destination = Destination::open(folder).unwrap();
    let mut partial = destination.begin(&offered("a", &bytes)).unwrap();
    let from = usize::try_from(partial.offset()).unwrap();
    for piece in bytes[from..SIZE - 1].chunks(199) {
        partial.append(piece).unwrap();
    }
    loop {
        thread::park();
    }
}

/// This test in a process of its own; killed when dropped.
struct Receiver(Child);

impl Receiver {
    fn start(place: &Place) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        let test = "killed::what_a_killed_receiver_has_written_is_gone_on_with";
        command.args([test, "--exact"]).env(FOLDER, place.path());
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }

    fn wait_for(&mut self, place: &Place, length: u64) {
        let longest = || {
            let names = place.names().into_iter();
            let lengths = names.map(|name| fs::metadata(place.at(&name)).unwrap().len());
            lengths.max().unwrap_or_default()
        };
        while longest() < length {
            assert_eq!(self.0.try_wait().unwrap(), None, "it ended by itself");
            thread::yield_now();
        }
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Only a test that failed leaves one behind.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Long enough to be killed in the middle of.
const SIZE: usize = 4_000_000;

/// Where the receiver is to receive.
const FOLDER: &str = "TUBES_TEST_FOLDER";
