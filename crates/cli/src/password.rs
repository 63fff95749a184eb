//! Where the password comes from: a file, the configuration, or a prompt; never an argument.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::exit::Stop;

/// Reads the password from a file, without the newline that editors leave at its end.
pub(crate) fn from_file(path: &Path) -> Result<String, Stop> {
    let complain = |why: &dyn std::fmt::Display| {
        Stop::Usage(format!(
            "cannot read the password file {}: {why}",
            path.display()
        ))
    };
    let mut text = Zeroizing::new(String::new());
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
        .map_err(|why| complain(&why))?;
    if text.len() as u64 > LONGEST {
        return Err(complain(&"too long for a password"));
    }
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(complain(&"it is empty"));
    }
    Ok(password.to_owned())
}

/// Asks whoever sits at the terminal.
pub(crate) fn from_prompt(account: &str) -> Result<String, Stop> {
    // Standard input may be the connection itself (`tubes connect`), so it is standard error that
    // tells whether somebody would see the question.
    if io::stderr().is_terminal()
        && let Ok(password) = rpassword::prompt_password(format!("Password of {account}: "))
        && !password.is_empty()
    {
        return Ok(password);
    }
    Err(Stop::Usage(format!(
        "no password for {account}: put it into a file and name that with --password-file"
    )))
}

/// Guards against reading a device or a log file by mistake. In bytes.
const LONGEST: u64 = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::Write;

    use super::*;

    fn read(content: &[u8]) -> Result<String, Stop> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        from_file(file.path())
    }

    #[test]
    fn one_trailing_newline_is_not_part_of_the_password() {
        assert_eq!(read(b"secret\n"), Ok("secret".to_owned()));
        assert_eq!(read(b"secret\r\n"), Ok("secret".to_owned()));
        assert_eq!(read(b"secret"), Ok("secret".to_owned()));
    }

    #[test]
    fn spaces_and_further_newlines_are_part_of_the_password() {
        assert_eq!(read(b" se cret \n\n"), Ok(" se cret \n".to_owned()));
    }

    #[test]
    fn an_empty_password_file_is_an_error() {
        assert!(read(b"\n").unwrap_err().to_string().contains("empty"));
    }

    #[test]
    fn a_password_file_that_is_no_text_is_an_error() {
        assert_eq!(read(&[0xff, 0xfe]).unwrap_err().code(), 2);
    }

    #[test]
    fn a_huge_password_file_is_an_error() {
        assert!(
            read(&[b'x'; 5000])
                .unwrap_err()
                .to_string()
                .contains("too long")
        );
    }

    #[test]
    fn a_missing_password_file_is_named() {
        let why = from_file(Path::new("/nowhere/secret")).unwrap_err();
        assert!(why.to_string().contains("/nowhere/secret"), "{why}");
        assert!(why.to_string().contains("No such file"), "{why}");
    }
}
