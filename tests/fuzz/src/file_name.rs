//! What a peer calls a file, and where it says that the file is.

use tubes_files::{Checksum, SafeName, SafePath};

/// Reads text as the name of a file, as a path and as a checksum: every name becomes one that is
/// safe and stays as it is, and no path leads anywhere but down.
pub fn file_name(data: &[u8]) {
    let Ok(said) = std::str::from_utf8(data) else {
        return;
    };
    for name in [SafeName::of(said), SafeName::of_part(said)] {
        check(&name);
        check(&name.numbered(2));
    }
    if let Ok(path) = said.parse::<SafePath>() {
        assert!(path.folders().len() < 32);
        path.folders().iter().chain([path.name()]).for_each(check);
        assert_eq!(path.to_string().parse(), Ok(path));
    }
    if let Ok(checksum) = said.parse::<Checksum>() {
        assert_eq!(checksum.to_string(), said.to_ascii_lowercase());
    }
}

fn check(name: &SafeName) {
    let text = name.as_str();
    assert!(!text.is_empty() && text.len() <= 255, "{text:?}");
    assert!(!text.contains(is_forbidden), "{text:?}");
    assert!(!text.starts_with(['.', '-', '~', ' ']), "{text:?}");
    assert!(!text.ends_with(['.', ' ']), "{text:?}");
    assert_eq!(text.parse().as_ref(), Ok(name));
}

fn is_forbidden(letter: char) -> bool {
    letter.is_control()
        || "/\\:*?\"<>|\u{200e}\u{200f}\u{202e}\u{2066}\u{2028}\u{feff}".contains(letter)
}
