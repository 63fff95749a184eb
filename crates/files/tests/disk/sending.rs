//! Files to be sent.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode};
use tubes_files::{Algorithm, Source, SourceError};

use crate::{Place, sha256, some_bytes};

fn read_all(source: &Source) -> Result<Vec<u8>, SourceError> {
    let mut all = Vec::new();
    let mut block = vec![0; 1000];
    loop {
        let read = source.read(all.len().try_into().unwrap(), &mut block)?;
        if read == 0 {
            return Ok(all);
        }
        all.extend_from_slice(&block[..read]);
    }
}

#[test]
fn a_file_is_read_from_anywhere() {
    let place = Place::new();
    let bytes = some_bytes(1_000_000);
    fs::write(place.at("a.bin"), &bytes).unwrap();
    let source = Source::open(&place.at("a.bin")).unwrap();
    assert_eq!(source.size(), 1_000_000);
    assert_eq!(source.name().as_str(), "a.bin");
    assert_eq!(read_all(&source).unwrap(), bytes);
    let mut tail = [0; 10];
    assert_eq!(source.read(999_995, &mut tail).unwrap(), 5);
    assert_eq!(tail[..5], bytes[999_995..]);
    assert_eq!(source.read(2_000_000, &mut tail).unwrap(), 0);
    let mut asked = Vec::new();
    let watch = |at| {
        asked.push(at);
        ControlFlow::Continue(())
    };
    let checksum = source.checksum(Algorithm::Sha256, watch).unwrap();
    assert_eq!(checksum, sha256(&bytes));
    assert_eq!(asked, [262_144, 524_288, 786_432, 1_000_000]);
    let part = source.checksum_until(300_000, Algorithm::Sha256, |_| ControlFlow::Continue(()));
    assert_eq!(part.unwrap(), sha256(&bytes[..300_000]));
}

#[test]
fn a_checksum_can_be_given_up() {
    let place = Place::new();
    fs::write(place.at("a"), some_bytes(1_000_000)).unwrap();
    let source = Source::open(&place.at("a")).unwrap();
    let mut blocks = 0;
    let watch = |_| {
        blocks += 1;
        ControlFlow::Break(())
    };
    let given_up = source.checksum(Algorithm::Md5, watch);
    assert!(
        matches!(given_up, Err(SourceError::Stopped { .. })),
        "{given_up:?}"
    );
    assert_eq!(blocks, 1);
}

#[test]
fn an_empty_file_is_a_file() {
    let place = Place::new();
    File::create(place.at("empty")).unwrap();
    let source = Source::open(&place.at("empty")).unwrap();
    assert_eq!(source.size(), 0);
    assert!(read_all(&source).unwrap().is_empty());
    let md5 = source.checksum(Algorithm::Md5, |_| ControlFlow::Continue(()));
    assert_eq!(md5.unwrap().to_string(), "d41d8cd98f00b204e9800998ecf8427e");
}

#[test]
fn a_file_beyond_four_gibibytes_has_its_size() {
    let place = Place::new();
    let mut file = File::create(place.at("large")).unwrap();
    file.seek(SeekFrom::Start(1 << 32)).unwrap();
    file.write_all(b"x").unwrap();
    let source = Source::open(&place.at("large")).unwrap();
    assert_eq!(source.size(), (1 << 32) + 1);
    let mut tail = [7; 4];
    assert_eq!(source.read((1 << 32) - 1, &mut tail).unwrap(), 2);
    assert_eq!(tail, [0, b'x', 7, 7]);
}

#[test]
fn what_is_no_file_is_refused_with_what_to_do() {
    let place = Place::new();
    let pipe = place.at("pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = UnixListener::bind(place.at("socket")).unwrap();
    let told = |path: &Path| Source::open(path).unwrap_err().to_string();
    let hint = "and its size is unknown: write what it gives to a file, and send that";
    assert_eq!(
        told(&pipe),
        format!("`{}` is a pipe, {hint}", pipe.display())
    );
    assert!(told(&place.at("socket")).contains("is a socket, "));
    assert!(told(Path::new("/dev/null")).contains("is a device, "));
    let folder = Source::open(place.path()).unwrap_err();
    assert!(matches!(folder, SourceError::Folder { .. }), "{folder}");
    let missing = Source::open(&place.at("missing")).unwrap_err();
    assert!(matches!(missing, SourceError::Missing { .. }), "{missing}");
}

#[test]
fn a_link_that_people_name_leads_to_its_file() {
    let place = Place::new();
    fs::write(place.at("a"), "hello").unwrap();
    symlink("a", place.at("b")).unwrap();
    let source = Source::open(&place.at("b")).unwrap();
    assert_eq!(source.name().as_str(), "b");
    assert_eq!(read_all(&source).unwrap(), b"hello");
}

#[test]
fn a_file_that_changes_while_it_is_sent_is_noticed() {
    type Change = fn(&mut File);
    let changes: [Change; 3] = [
        |file| file.set_len(99_999).unwrap(),
        |file| file.set_len(100_001).unwrap(),
        |file| {
            file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                .unwrap()
        },
    ];
    for change in changes {
        let place = Place::new();
        let path = place.at("a");
        fs::write(&path, some_bytes(100_000)).unwrap();
        let source = Source::open(&path).unwrap();
        change(&mut OpenOptions::new().write(true).open(&path).unwrap());
        let noticed = read_all(&source);
        assert!(
            matches!(noticed, Err(SourceError::Changed { .. })),
            "{noticed:?}"
        );
        let noticed = source.checksum(Algorithm::Sha256, |_| ControlFlow::Continue(()));
        assert!(
            matches!(noticed, Err(SourceError::Changed { .. })),
            "{noticed:?}"
        );
    }
}

#[test]
fn a_file_that_is_replaced_is_sent_as_it_was() {
    let place = Place::new();
    fs::write(place.at("a"), "old").unwrap();
    let source = Source::open(&place.at("a")).unwrap();
    fs::write(place.at("b"), "new!").unwrap();
    fs::rename(place.at("b"), place.at("a")).unwrap();
    assert_eq!(read_all(&source).unwrap(), b"old");
}
