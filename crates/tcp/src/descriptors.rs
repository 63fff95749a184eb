//! How many of the process's descriptors connections may take.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// Fails, as a lack of descriptors does, when a connection more would touch the reserve.
///
/// Without one, connections could take every descriptor, and a link to the server that breaks
/// then could never be made anew. Nothing has to be counted for it: the kernel gives away the
/// lowest number that is free (POSIX, "File Descriptor Allocation"), so that one below the
/// reserve is free as long as that is what comes next, whoever holds the others.
///
/// # Errors
///
/// As of a process that has too many files open.
pub fn spare_descriptor() -> io::Result<()> {
    next_is_below(first_reserved)
}

/// Fails, as a lack of descriptors does, when an eighth of them is taken.
///
/// For what can do without: a bytestream over a socket of its own takes a descriptor beside that of
/// the program, one within the session takes none. As many programs are to be served as if there
/// were nothing else. Where descriptors are few at all, at 1,024, that leaves some sixty such
/// bytestreams; where the limit can be raised it is no limit.
///
/// # Errors
///
/// As of a process that has too many files open.
pub fn plenty_of_descriptors() -> io::Result<()> {
    next_is_below(|limit| limit / 8)
}

fn next_is_below(bound: impl Fn(u64) -> u64) -> io::Result<()> {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return Ok(());
    };
    let next = UnixDatagram::unbound()?.as_raw_fd();
    match u64::try_from(next) {
        Ok(next) if next >= bound(limit) => Err(Errno::MFILE.into()),
        _ => Ok(()),
    }
}

/// The lowest number that connections do not get.
fn first_reserved(limit: u64) -> u64 {
    limit - RESERVE.min(limit / 4)
}

/// Descriptors that connections leave to everything else: to connect to a server, to ask a
/// resolver, to read the roots of trust, and to what else the process does. Where there are few
/// descriptors at all, it is a quarter of them.
const RESERVE: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_left_however_few_there_are() {
        assert_eq!(first_reserved(1024), 992);
        assert_eq!(first_reserved(64), 48);
        assert_eq!(first_reserved(0), 0);
    }
}
