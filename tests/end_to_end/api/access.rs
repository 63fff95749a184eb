//! Which programs are let in where a tube is accepted.

use std::env;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process;
use tubes::local::{self, Group, User};
use tubes::{Access, Address, Command, Listener, Offer};
use tubes_server::Server;

use super::joining::{accepted, added, chat};
use super::{Heard, SERVICE};
use crate::stage::{Family, Person, exchange, own_addresses, pair, patiently};

crate::on_each_server!(
    programs_from_elsewhere_are_not_let_in_at_a_port_of_this_machine,
    the_program_with_the_right_port_is_let_in_and_no_other,
    other_users_are_let_in_by_the_mode_and_the_owners_of_the_file_and_not_where_credentials_count,
);

async fn programs_from_elsewhere_are_not_let_in_at_a_port_of_this_machine(server: &Server) {
    let outside = |address: &IpAddr| address.is_ipv4() && !address.is_loopback();
    let Some(elsewhere) = own_addresses().into_iter().find(outside) else {
        eprintln!("skipped: this machine has no address but those of its loopback interface");
        return;
    };
    let (alice, fernand) = pair(server).await;
    let tube = accepted_at(&alice, &fernand, Access::Localhost).await;
    refuses(tube, SocketAddr::new(elsewhere, 0)).await;
    serves(tube, SocketAddr::from(([127, 0, 0, 1], 0))).await;
    fernand.leave().await;
    alice.leave().await;
}

async fn the_program_with_the_right_port_is_let_in_and_no_other(server: &Server) {
    let (alice, fernand) = pair(server).await;
    let right = TcpSocket::new_v4().unwrap();
    right.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let access = Access::Port(right.local_addr().unwrap().port());
    let tube = accepted_at(&alice, &fernand, access).await;
    refuses(tube, SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let connecting = right.connect(tube);
    let program = patiently("it connects", connecting).await.unwrap();
    assert!(echoes(program).await.is_ok());
    fernand.leave().await;
    alice.leave().await;
}

async fn other_users_are_let_in_by_the_mode_and_the_owners_of_the_file_and_not_where_credentials_count(
    server: &Server,
) {
    if !rustix::process::geteuid().is_root() {
        let missing = "only root can try what other users can";
        assert!(env::var_os("CI").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
        return;
    }
    let (alice, mut fernand) = pair(server).await;
    let group = local::Permissions::default().with_group(Group::from(GROUP));
    let public = local::Permissions::default().with_mode("0666".parse().unwrap());
    let owned = local::Permissions::default().with_owner(User::from(USER));
    for (access, sharing, mode, of_group, of_none) in [
        (
            Access::Localhost,
            local::Permissions::default(),
            0o600,
            false,
            false,
        ),
        (Access::Localhost, group, 0o660, true, false),
        (Access::Localhost, public, 0o666, true, true),
        // Of whatever group.
        (Access::Localhost, owned, 0o600, true, true),
        // Who connects is asked of the kernel, whatever the file lets in.
        (Access::Credentials, public, 0o666, false, false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let path = folder.path().join("s");
        let address = Address::unix(&path).unwrap();
        let listener = Listener::bind_with_permissions(&address, access, sharing).await;
        offers_echo(&alice, &fernand).await;
        let tube = fernand.offered().await;
        let accepting = fernand.tubes.accept_at(tube, listener.unwrap());
        patiently("the tube is accepted", accepting).await.unwrap();
        let file = fs::metadata(&path).unwrap();
        assert_eq!(file.mode() & 0o7777, mode);
        assert_eq!(file.gid() == GROUP, sharing.group().is_some());
        assert_eq!(file.uid() == USER, sharing.owner().is_some());
        let served = (
            serves_user(&path, GROUP).await,
            serves_user(&path, GROUP + 1).await,
        );
        assert_eq!(served, (of_group, of_none), "{access}, {sharing:?}");
        let own = patiently("this user is served", exchange(&address));
        own.await.unwrap();
    }
    fernand.leave().await;
    alice.leave().await;
}

/// Where programs connect to a tube of Alice's that Fernand's client has accepted.
async fn accepted_at(alice: &Person, fernand: &Person, access: Access) -> SocketAddr {
    let client = chat()
        .listening_at(Family::Tcp.place().address, access)
        .build();
    let mut heard = Heard::by(client.watch().1);
    added(&client, fernand).await;
    offers_echo(alice, fernand).await;
    let Some(Address::Tcp { host, port }) = accepted(&mut heard).await.address else {
        panic!("it was accepted at a port");
    };
    // It serves as long as the test runs.
    std::mem::forget(client);
    format!("{host}:{port}").parse().unwrap()
}

async fn offers_echo(alice: &Person, fernand: &Person) {
    let offer = Offer::command(fernand.jid.clone(), SERVICE, Command::new("cat"));
    alice.tubes.offer(offer).await.unwrap();
}

async fn refuses(tube: SocketAddr, source: SocketAddr) {
    // It may be cut off before it knows that it was connected.
    let asking = async { echoes(bound_to(source).connect(tube).await?).await };
    let why = patiently("it is cut off", asking).await.unwrap_err();
    assert_eq!(why.kind(), ErrorKind::ConnectionReset);
}

async fn serves(tube: SocketAddr, source: SocketAddr) {
    let asking = async { echoes(bound_to(source).connect(tube).await?).await };
    patiently("it is served", asking).await.unwrap();
}

fn bound_to(source: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(source).unwrap();
    socket
}

async fn echoes(mut program: TcpStream) -> std::io::Result<()> {
    program.write_all(b"x").await?;
    assert_eq!(program.read_u8().await?, b'x');
    Ok(())
}

/// Whether the echo answers a program of another user, in this group.
async fn serves_user(path: &Path, group: u32) -> bool {
    let script = "my $s = IO::Socket::UNIX->new($ARGV[0]) or exit 1; \
                  $s->autoflush(1); print $s \"x\\n\"; exit(<$s> ? 0 : 1)";
    let user = format!("--reuid={USER}");
    let group = format!("--regid={group}");
    let running = process::Command::new("setpriv")
        .args([user.as_str(), &group, "--clear-groups", "perl"])
        .args(["-MIO::Socket::UNIX", "-e", script])
        .arg(path)
        .status();
    let status = patiently("the other user is done", running).await;
    status.unwrap().success()
}

/// Whoever is not the one who runs the tests.
const USER: u32 = 65534;

/// A group that need not have a name.
const GROUP: u32 = 54321;
