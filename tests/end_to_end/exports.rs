//! What can be exported beside a service at an address, and how else a tube is accepted.

use std::io::ErrorKind;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener};
use tubes::local::{PEER_TLV, Permissions};
use tubes::{Access, Address, Command, Export, FailureKind, FullJid, Listener, Offer};
use tubes_server::Server;

use crate::stage::{Family, Person, Service, Stream, connect, echo, own_port, pair, patiently};

crate::on_server!(
    embedded,
    Embedded: a_command_serves_each_connection,
    a_command_ends_with_a_connection_that_breaks,
    a_command_that_cannot_be_started_refuses_the_connection,
    a_service_of_this_process_is_exported_by_its_socket_and_told_who_connects,
    a_tube_is_accepted_at_sockets_that_listen_already,
    a_tube_is_accepted_once_only,
    only_a_program_with_the_right_port_is_let_in,
    programs_of_this_user_are_let_in_by_their_credentials,
);

async fn a_command_serves_each_connection(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let line = "printf '%s %s ' \"$TUBES_PEER\" \"$TUBES_SERVICE\"; exec cat";
    let address = offered(&alice, &mut fernand, Command::shell(line).into()).await;
    // Its address is nowhere.
    let state = alice.tubes.state();
    let tube = state.tubes.values().next().unwrap();
    assert_eq!((tube.service.as_str(), &tube.address), ("x-test", &None));
    let jid = fernand.online().await;
    for said in ["one", "another"] {
        let program = connect(&address).await.unwrap();
        assert_eq!(asked(program, said).await, format!("{jid} x-test {said}"));
        assert_eq!(fernand.connection_closed().await.2, None);
    }
}

async fn a_command_ends_with_a_connection_that_breaks(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let command = Command::shell("echo $$; sleep 1000; true");
    let Address::Tcp { host, port } = offered(&alice, &mut fernand, command.into()).await else {
        panic!("it was accepted at a port");
    };
    let mut program = TcpStream::connect((host, port)).await.unwrap();
    let mut said = [0; 32];
    let reading = program.read(&mut said);
    let length = patiently("it says its number", reading).await.unwrap();
    let number = std::str::from_utf8(said.get(..length).unwrap()).unwrap();
    let pid = Pid::from_raw(number.trim().parse().unwrap()).unwrap();
    program.set_zero_linger().unwrap();
    drop(program);
    let gone = async {
        // Nothing tells when a process is reaped.
        while test_kill_process(pid).is_ok() {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    };
    patiently("the command is gone", gone).await;
}

async fn a_command_that_cannot_be_started_refuses_the_connection(server: &Server) {
    let (mut alice, mut fernand) = pair(server).await;
    let address = offered(&alice, &mut fernand, Command::new("/no/such").into()).await;
    let mut program = connect(&address).await.unwrap();
    let reading = program.read_u8();
    assert!(patiently("it is told", reading).await.is_err());
    let (.., failure) = alice.connection_closed().await;
    let failure = failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert!(failure.message.contains("/no/such"), "{failure}");
}

async fn a_service_of_this_process_is_exported_by_its_socket_and_told_who_connects(
    server: &Server,
) {
    let (alice, mut fernand) = pair(server).await;
    let service = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let export = Export::of(&service).unwrap().with_proxy_header();
    let address = offered(&alice, &mut fernand, export).await;
    let jid: FullJid = fernand.online().await;
    let mut program = connect(&address).await.unwrap();
    program.write_all(b"hello").await.unwrap();
    program.shutdown().await.unwrap();
    let (mut served, _) = patiently("it is reached", service.accept()).await.unwrap();
    let mut heard = Vec::new();
    let reading = served.read_to_end(&mut heard);
    patiently("all is heard", reading).await.unwrap();
    let jid = jid.to_string();
    let mut expected = vec![PEER_TLV];
    expected.extend(u16::try_from(jid.len()).unwrap().to_be_bytes());
    expected.extend(jid.as_bytes());
    expected.extend(b"hello");
    // What comes before has a length that says nothing.
    assert!(heard.starts_with(b"\r\n\r\n\0\r\nQUIT\n"), "{heard:?}");
    assert!(heard.ends_with(&expected), "{heard:?}");
}

async fn a_tube_is_accepted_at_sockets_that_listen_already(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let tcp = std::net::TcpListener::bind(own_port()).unwrap();
    let unix = UnixListener::bind(&path).unwrap().into_std().unwrap();
    let shared = Address::unix(folder.path().join("shared")).unwrap();
    let permissions = Permissions::default().with_mode("0660".parse().unwrap());
    for listener in [
        Listener::of(tcp, Access::Localhost).unwrap(),
        Listener::of(unix, Access::Credentials).unwrap(),
        Listener::bind_with_permissions(&shared, Access::Localhost, permissions)
            .await
            .unwrap(),
    ] {
        let at = listener.address().clone();
        let offer = Offer::new(fernand.jid.clone(), "x-test", service.address.clone());
        alice.tubes.offer(offer).await.unwrap();
        let tube = fernand.offered().await;
        let accepted = fernand.tubes.accept_at(tube, listener).await.unwrap();
        assert_eq!(accepted, at);
        let program = connect(&at).await.unwrap();
        assert_eq!(asked(program, "hello").await, "hello");
        fernand.tubes.close(tube).await;
        assert!(connect(&at).await.is_err(), "{at} goes on");
    }
}

async fn a_tube_is_accepted_once_only(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    offered(&alice, &mut fernand, Command::new("cat").into()).await;
    let tube = *fernand.tubes.state().tubes.keys().next().unwrap();
    let given = std::net::TcpListener::bind(own_port()).unwrap();
    let at = Address::of(&given).unwrap();
    let listener = Listener::of(given, Access::Localhost).unwrap();
    let error = fernand.tubes.accept_at(tube, listener).await.unwrap_err();
    assert!(matches!(error, tubes::AcceptError::Already), "{error}");
    assert!(connect(&at).await.is_err(), "it is closed");
}

async fn only_a_program_with_the_right_port_is_let_in(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let right = TcpSocket::new_v4().unwrap();
    right.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let access = Access::Port(right.local_addr().unwrap().port());
    let address = accepted(&alice, &mut fernand, Family::Tcp, access).await;
    // It may be cut off before it knows that it was connected.
    let wrong = async { connect(&address).await?.read_u8().await };
    let error = patiently("it is cut off", wrong).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let Address::Tcp { host, port } = address else {
        panic!("it was accepted at a port");
    };
    let at = format!("{host}:{port}").parse().unwrap();
    let program: Stream = Box::new(right.connect(at).await.unwrap());
    assert_eq!(asked(program, "hello").await, "hello");
}

async fn programs_of_this_user_are_let_in_by_their_credentials(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let address = accepted(&alice, &mut fernand, Family::Abstract, Access::Credentials).await;
    let program = connect(&address).await.unwrap();
    assert_eq!(asked(program, "hello").await, "hello");
}

/// Alice offers this, and Fernand accepts it at a port.
async fn offered(alice: &Person, fernand: &mut Person, export: Export) -> Address {
    let offer = Offer::of(fernand.jid.clone(), "x-test", export);
    alice.tubes.offer(offer).await.unwrap();
    let tube = fernand.offered().await;
    let listen = Family::Tcp.place().address;
    let accepting = fernand.tubes.accept(tube, listen, Access::Localhost);
    patiently("the tube is accepted", accepting).await.unwrap()
}

/// Alice offers an echo, and Fernand accepts it for those who have this access.
async fn accepted(alice: &Person, fernand: &mut Person, family: Family, access: Access) -> Address {
    let echo = Offer::command(fernand.jid.clone(), "x-test", Command::new("cat"));
    alice.tubes.offer(echo).await.unwrap();
    let tube = fernand.offered().await;
    let listen = family.place().address;
    let accepting = fernand.tubes.accept(tube, listen, access);
    patiently("the tube is accepted", accepting).await.unwrap()
}

/// What is answered to this, to the end.
async fn asked(mut program: Stream, what: &str) -> String {
    let mut answer = String::new();
    let asking = async {
        program.write_all(what.as_bytes()).await?;
        program.shutdown().await?;
        program.read_to_string(&mut answer).await
    };
    patiently("all is answered", asking).await.unwrap();
    answer
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
