//! Where a listener listens, what it replaces, and what it leaves behind.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tubes_local::{Access, Address, BindError, Group, Listener, Permissions, Source};

async fn bind(address: &Address) -> Result<Listener, BindError> {
    Listener::bind(address, Access::Localhost).await
}

async fn bind_text(text: &str) -> Result<Listener, BindError> {
    bind(&text.parse().unwrap()).await
}

fn port(listener: &Listener) -> u16 {
    match listener.address() {
        Address::Tcp { port, .. } => *port,
        other => panic!("{other}"),
    }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service.sock");
    (folder, path)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn tells_the_port_that_the_kernel_chose() {
    let listener = bind_text("127.0.0.1:0").await.unwrap();
    assert_ne!(port(&listener), 0);
    let program = TcpStream::connect(("127.0.0.1", port(&listener)))
        .await
        .unwrap();
    let (_socket, source) = listener.accept().await.unwrap();
    assert_eq!(source, Source::Tcp(program.local_addr().unwrap()));
}

#[tokio::test]
async fn lets_in_programs_that_know_it_by_name() {
    let listener = bind_text("localhost:0").await.unwrap();
    assert!(matches!(listener.address(), Address::Tcp { host, .. } if host == "localhost"));
    let addrs = tokio::net::lookup_host(("localhost", port(&listener)));
    let mut reached = 0;
    for addr in addrs.await.unwrap() {
        if let Ok(mut program) = TcpStream::connect(addr).await {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(b"x").await.unwrap();
            assert_eq!(program.read_u8().await.unwrap(), b'x');
            reached += 1;
        }
    }
    assert!(reached > 0);
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let listener = bind_text("127.0.0.1:0").await.unwrap();
    let error = bind(listener.address()).await.unwrap_err();
    assert!(error.is_in_use());
    let text = error.to_string();
    assert!(text.contains(&listener.address().to_string()), "{text}");
    assert!(text.contains("in use"), "{text}");
}

#[tokio::test]
async fn an_unknown_host_is_named() {
    let error = bind_text("nowhere.invalid:0").await.unwrap_err();
    assert!(matches!(error, BindError::Unresolved { .. }), "{error}");
    assert!(error.to_string().contains("nowhere.invalid"), "{error}");
}

#[tokio::test]
async fn a_socket_file_is_for_this_user_only_and_the_only_thing_left_beside_it() {
    let (folder, path) = folder();
    let _listener = bind(&Address::Unix(path.clone())).await.unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(names(folder.path()), ["service.sock"]);
}

async fn share(path: &Path, permissions: Permissions) -> Result<Listener, BindError> {
    let address = Address::Unix(path.to_owned());
    Listener::bind_with_permissions(&address, Access::Localhost, permissions).await
}

#[tokio::test]
async fn a_shared_socket_has_its_mode_and_its_group() {
    let (folder, path) = folder();
    let own = rustix::process::getegid().as_raw();
    let shared = Permissions::default().with_group(Group::from(own));
    let _listener = share(&path, shared).await.unwrap();
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.mode() & 0o7777, found.gid()), (0o660, own));
    let public = folder.path().join("public.sock");
    let shared = Permissions::default().with_mode("0666".parse().unwrap());
    let _other = share(&public, shared).await.unwrap();
    assert_eq!(fs::metadata(&public).unwrap().mode() & 0o7777, 0o666);
    assert_eq!(names(folder.path()).len(), 2);
}

#[tokio::test]
async fn a_group_that_is_not_ours_is_named_and_leaves_nothing_behind() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may give files to every group");
        return;
    }
    let (folder, path) = folder();
    let shared = Permissions::default().with_group(Group::from(0));
    let error = share(&path, shared).await.unwrap_err();
    assert!(matches!(error, BindError::Group { .. }), "{error}");
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn what_has_no_file_that_others_could_reach_is_not_shared() {
    let shared = Permissions::default().with_mode("0660".parse().unwrap());
    for address in ["127.0.0.1:0", "abstract:tubes-x", "unix:", "-"] {
        let address = address.parse().unwrap();
        let error = Listener::bind_with_permissions(&address, Access::Localhost, shared).await;
        assert!(matches!(error, Err(BindError::NoFile { .. })), "{address}");
    }
}

#[tokio::test]
async fn lets_programs_in_at_a_tcp_socket_that_listens_already() {
    let given = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = given.local_addr().unwrap();
    let listener = Listener::of(given, Access::Localhost).unwrap();
    assert_eq!(*listener.address(), Address::from(at));
    let program = TcpStream::connect(at).await.unwrap();
    let (_socket, source) = listener.accept().await.unwrap();
    assert_eq!(source, Source::Tcp(program.local_addr().unwrap()));
}

#[tokio::test]
async fn lets_programs_in_at_a_unix_socket_that_listens_already_and_leaves_its_file() {
    let (folder, path) = folder();
    let given = UnixListener::bind(&path).unwrap().into_std().unwrap();
    let listener = Listener::of(given, Access::Credentials).unwrap();
    assert_eq!(*listener.address(), Address::Unix(path.clone()));
    let _program = UnixStream::connect(&path).await.unwrap();
    listener.accept().await.unwrap();
    drop(listener);
    assert_eq!(names(folder.path()), ["service.sock"]);
}

#[tokio::test]
async fn lets_programs_in_at_an_abstract_socket_that_listens_already() {
    let name = format!("tubes-given-{}", std::process::id());
    let given = UnixListener::bind(format!("\0{name}")).unwrap();
    let listener = Listener::of(given.into_std().unwrap(), Access::Localhost).unwrap();
    assert_eq!(*listener.address(), Address::Abstract(name.clone()));
    let _program = UnixStream::connect(format!("\0{name}")).await.unwrap();
    listener.accept().await.unwrap();
}

#[tokio::test]
async fn refuses_what_does_not_listen_or_cannot_be_checked_that_way() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = Listener::of(socket, Access::Localhost).unwrap_err();
    assert!(matches!(error, BindError::Given(_)), "{error}");
    let given = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = Listener::of(given, Access::Credentials).unwrap_err();
    assert!(matches!(error, BindError::Access { .. }), "{error}");
}

#[tokio::test]
async fn lets_in_programs_that_know_its_path() {
    let (_folder, path) = folder();
    let listener = bind(&Address::Unix(path.clone())).await.unwrap();
    let _program = UnixStream::connect(&path).await.unwrap();
    let (_socket, source) = listener.accept().await.unwrap();
    assert_eq!(source.uid(), Some(rustix::process::geteuid().as_raw()));
}

#[tokio::test]
async fn removes_its_file_at_the_end() {
    let (folder, path) = folder();
    drop(bind(&Address::Unix(path)).await.unwrap());
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn leaves_a_file_that_took_its_place() {
    let (_folder, path) = folder();
    let listener = bind(&Address::Unix(path.clone())).await.unwrap();
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    drop(listener);
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
}

#[tokio::test]
async fn replaces_a_socket_that_nobody_listens_at() {
    let (folder, path) = folder();
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let listener = bind(&Address::Unix(path.clone())).await.unwrap();
    let _program = UnixStream::connect(&path).await.unwrap();
    listener.accept().await.unwrap();
    assert_eq!(names(folder.path()), ["service.sock"]);
}

#[tokio::test]
async fn leaves_a_live_socket_alone() {
    let (folder, path) = folder();
    let other = UnixListener::bind(&path).unwrap();
    let error = bind(&Address::Unix(path.clone())).await.unwrap_err();
    assert!(error.is_in_use(), "{error}");
    let _program = UnixStream::connect(&path).await.unwrap();
    other.accept().await.unwrap();
    assert_eq!(names(folder.path()), ["service.sock"]);
}

#[tokio::test]
async fn never_touches_what_is_no_socket() {
    let (folder, path) = folder();
    fs::write(&path, "precious").unwrap();
    let error = bind(&Address::Unix(path.clone())).await.unwrap_err();
    assert!(matches!(error, BindError::NotASocket { .. }), "{error}");
    let link = folder.path().join("link.sock");
    std::os::unix::fs::symlink("/nowhere", &link).unwrap();
    let error = bind(&Address::Unix(link)).await.unwrap_err();
    assert!(matches!(error, BindError::NotASocket { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let error = bind_text("unix:/nowhere/at/all.sock").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("folder does not exist"), "{text}");
}

#[tokio::test]
async fn a_path_too_long_to_be_made_safely_is_refused() {
    let (folder, _) = folder();
    let room = 107 - folder.path().as_os_str().len() - 1;
    // Fits with its own short name, and not with that of a private folder.
    let deep = folder.path().join("d".repeat(room - 2));
    fs::create_dir(&deep).unwrap();
    let error = bind(&Address::Unix(deep.join("s"))).await.unwrap_err();
    assert!(matches!(error, BindError::NoRoom { .. }), "{error}");
    assert!(names(&deep).is_empty());
}

#[tokio::test]
async fn an_abstract_socket_has_no_file() {
    let name = format!("tubes-listening-{}", std::process::id());
    let address = Address::Abstract(name.clone());
    let listener = bind(&address).await.unwrap();
    let _program = UnixStream::connect(format!("\0{name}")).await.unwrap();
    let (_socket, source) = listener.accept().await.unwrap();
    assert!(source.uid().is_some());
    assert!(bind(&address).await.unwrap_err().is_in_use());
}

#[tokio::test]
async fn denies_programs_with_another_port_and_lets_the_right_one_in() {
    let right = tokio::net::TcpSocket::new_v4().unwrap();
    right.set_reuseaddr(true).unwrap();
    right.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let own = right.local_addr().unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(&address, Access::Port(own.port()))
        .await
        .unwrap();
    let to = ([127, 0, 0, 1], port(&listener)).into();
    let mut wrong = TcpStream::connect(to).await.unwrap();
    let _right = right.connect(to).await.unwrap();
    let (_socket, source) = listener.accept().await.unwrap();
    assert_eq!(source.address(), Some(own));
    let error = wrong.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn credentials_let_this_user_in() {
    let (_folder, path) = folder();
    let address = Address::Unix(path.clone());
    let listener = Listener::bind(&address, Access::Credentials).await.unwrap();
    let _program = UnixStream::connect(&path).await.unwrap();
    listener.accept().await.unwrap();
}

#[tokio::test]
async fn refuses_access_control_that_does_not_exist_there() {
    for (address, access) in [
        ("127.0.0.1:0", Access::Credentials),
        ("unix:/tmp/x", Access::Port(1)),
        ("-", Access::Credentials),
    ] {
        let error = Listener::bind(&address.parse().unwrap(), access).await;
        assert!(matches!(error, Err(BindError::Access { .. })), "{address}");
    }
}

#[tokio::test]
async fn many_programs_may_come_at_once() {
    let listener = bind_text("127.0.0.1:0").await.unwrap();
    let mut programs = Vec::new();
    for _ in 0..300 {
        let stream = TcpStream::connect(("127.0.0.1", port(&listener)));
        programs.push(stream.await.unwrap());
    }
    for _ in 0..300 {
        listener.accept().await.unwrap();
    }
}

#[tokio::test]
async fn a_wait_given_up_loses_no_program() {
    let listener = bind_text("127.0.0.1:0").await.unwrap();
    tokio::select! {
        biased;
        _ = listener.accept() => panic!("nobody came"),
        () = std::future::ready(()) => {}
    }
    let stream = TcpStream::connect(("127.0.0.1", port(&listener)));
    let _program = stream.await.unwrap();
    listener.accept().await.unwrap();
}
