//! A listening socket's place in the file system.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, Metadata};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use tokio::net::{UnixListener, UnixSocket};
use tracing::warn;

use crate::addr::{SUN_PATH, check_path};
use crate::bind::BACKLOG;
use crate::{Address, BindError, Permissions};

/// A socket file that this process made, and removes when dropped.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

impl SocketFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another program may have taken the place meanwhile; its file is not ours to remove.
        if Identity::of(&self.path).is_ok_and(|now| now == self.identity)
            && let Err(why) = fs::remove_file(&self.path)
        {
            warn!(path = %self.path.display(), %why, "cannot remove the socket");
        }
    }
}

/// Listens at `path` with a file that is for those it is shared with, and for nobody else at any
/// moment.
///
/// A socket that nobody listens at any more is replaced, anything else left alone.
pub(crate) async fn listen(
    path: PathBuf,
    permissions: Permissions,
) -> Result<(UnixListener, SocketFile), BindError> {
    let address = Address::Unix(path.clone());
    let io = |why| BindError::io(&address, why);
    check_path(&path).map_err(|why| BindError::Path {
        address: address.clone(),
        why,
    })?;
    let stale = match vacancy(&path).await.map_err(io)? {
        Vacancy::Free => None,
        Vacancy::Live => return Err(BindError::InUse { address }),
        Vacancy::Other => return Err(BindError::NotASocket { path }),
        Vacancy::Stale(identity) => Some(identity),
    };
    let folder = PrivateFolder::beside(&path).map_err(io)?;
    let birthplace = folder.0.join("s");
    let length = birthplace.as_os_str().len();
    if length > SUN_PATH {
        return Err(BindError::NoRoom {
            address,
            over: length - SUN_PATH,
        });
    }
    let socket = UnixSocket::new_stream().map_err(io)?;
    socket.bind(&birthplace).map_err(io)?;
    // Nobody else can enter the folder. They come first: what the mode allows is for them.
    if let Some(group) = permissions.group() {
        let given = lchown(&birthplace, None, Some(group.id()));
        given.map_err(|why| BindError::Group {
            address: address.clone(),
            group,
            why,
        })?;
    }
    if let Some(owner) = permissions.owner() {
        let given = lchown(&birthplace, Some(owner.id()), None);
        given.map_err(|why| BindError::Owner {
            address: address.clone(),
            owner,
            why,
        })?;
    }
    let mode = fs::Permissions::from_mode(permissions.mode().bits());
    fs::set_permissions(&birthplace, mode).map_err(io)?;
    // It listens before it can be found, so that nobody takes it for a stale one.
    let listener = socket.listen(BACKLOG).map_err(io)?;
    let identity = Identity::of(&birthplace).map_err(io)?;
    match take_place(&birthplace, &path, stale) {
        Ok(()) => Ok((listener, SocketFile { path, identity })),
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Err(BindError::InUse { address }),
        Err(why) => Err(io(why)),
    }
}

/// A path for a socket that is not there yet, in the user's own folder for such things.
pub(crate) fn fresh(runtime: Option<OsString>) -> Result<PathBuf, BindError> {
    // A relative path is to be ignored (XDG Base Directory Specification).
    let runtime = runtime.map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = runtime.ok_or(BindError::NoRuntimeFolder)?.join("tubes");
    let address = || Address::Unix(folder.clone());
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(why) if why.kind() != io::ErrorKind::AlreadyExists => {
            return Err(BindError::io(&address(), why));
        }
        _ => {}
    }
    let found = fs::symlink_metadata(&folder).map_err(|why| BindError::io(&address(), why))?;
    let own = rustix::process::geteuid().as_raw();
    if !found.is_dir() || found.uid() != own || found.mode() & 0o077 != 0 {
        return Err(BindError::NotPrivate { folder });
    }
    Ok(folder.join(format!("{:08x}.sock", random())))
}

/// A folder that only this user can enter; removed with what is in it when dropped.
#[derive(Debug)]
struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// A new one in the folder that `path` is in, so that a rename stays in one file system.
    fn beside(path: &Path) -> io::Result<Self> {
        let parent = path.parent().unwrap_or_else(|| Path::new(""));
        let folder = parent.join(format!(".{:08x}", random()));
        // Fails if it exists, so that nobody can prepare it for us.
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // The socket is gone from it if all went well.
        let _ = fs::remove_file(self.0.join("s"));
        if let Err(why) = fs::remove_dir(&self.0) {
            warn!(path = %self.0.display(), %why, "cannot remove the folder");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|found| Self::from(&found))
    }
}

impl From<&Metadata> for Identity {
    fn from(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
        }
    }
}

/// What is at a path where a socket is to be.
enum Vacancy {
    Free,
    Live,
    Other,
    Stale(Identity),
}

async fn vacancy(path: &Path) -> io::Result<Vacancy> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vacancy::Free),
        Err(why) => return Err(why),
    };
    if !found.file_type().is_socket() {
        return Ok(Vacancy::Other);
    }
    // Does not wait: a full backlog is an error, too, but another one.
    match UnixSocket::new_stream()?.connect(path).await {
        Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => {
            Ok(Vacancy::Stale(Identity::from(&found)))
        }
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Vacancy::Free),
        Err(why) if why.kind() == io::ErrorKind::PermissionDenied => Err(why),
        Ok(_) | Err(_) => Ok(Vacancy::Live),
    }
}

/// Moves the socket to where it can be found, over a stale one only.
fn take_place(from: &Path, to: &Path, stale: Option<Identity>) -> io::Result<()> {
    // Between this look and the rename another program might still take the place; no call
    // closes this gap.
    if stale.is_some() && Identity::of(to).ok() == stale {
        return fs::rename(from, to);
    }
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
        done => return Ok(done?),
    }
    fs::hard_link(from, to)
}

/// Something nobody else comes up with at the same time; no secret.
fn random() -> u32 {
    let [a, b, c, d, ..] = RandomState::new().build_hasher().finish().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[test]
    fn a_fresh_path_is_in_a_folder_that_only_this_user_can_enter() {
        let runtime = tempfile::tempdir().unwrap();
        let path = fresh(Some(runtime.path().into())).unwrap();
        let folder = runtime.path().join("tubes");
        assert_eq!(path.parent(), Some(folder.as_path()));
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_ne!(fresh(Some(runtime.path().into())).unwrap(), path);
    }

    #[test]
    fn a_fresh_path_is_not_made_where_others_can_enter() {
        let runtime = tempfile::tempdir().unwrap();
        let folder = runtime.path().join("tubes");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let error = fresh(Some(runtime.path().into())).unwrap_err();
        assert!(matches!(error, BindError::NotPrivate { .. }), "{error}");
    }

    #[test]
    fn a_fresh_path_needs_an_absolute_runtime_folder() {
        for runtime in [None, Some("relative".into()), Some("".into())] {
            let error = fresh(runtime).unwrap_err();
            assert!(matches!(error, BindError::NoRuntimeFolder), "{error}");
        }
    }
}
