//! Standard input and output as a connection; this program is its own child.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes_local::{Access, Address, Listener};

fn main() {
    match std::env::var(CHILD).as_deref() {
        Ok(task) => child(task),
        Err(_) => {
            for (name, test) in TESTS {
                test();
                println!("test {name} ... ok");
            }
        }
    }
}

const TESTS: [(&str, fn()); 5] = [
    (
        "pipes_are_carried_to_their_end",
        pipes_are_carried_to_their_end,
    ),
    (
        "an_end_of_output_comes_before_that_of_input",
        an_end_of_output_comes_before_that_of_input,
    ),
    ("a_socket_serves_as_both", a_socket_serves_as_both),
    (
        "a_process_may_end_while_its_input_is_open",
        a_process_may_end_while_its_input_is_open,
    ),
    ("files_are_carried", files_are_carried),
];

fn pipes_are_carried_to_their_end() {
    let mut child = start("echo", Stdio::piped(), Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    let bytes = vec![7; 1 << 20];
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
    let mut got = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut got).unwrap();
    writer.join().unwrap();
    assert!(got == bytes);
    assert!(child.wait().unwrap().success());
}

fn an_end_of_output_comes_before_that_of_input() {
    let mut child = start("end", Stdio::piped(), Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    // Comes back only because the child has ended its output: its input is still open.
    let mut got = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut got)
        .unwrap();
    assert_eq!(got, "bye");
    stdin.write_all(b"x").unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

fn a_socket_serves_as_both() {
    let (mut near, far) = UnixStream::pair().unwrap();
    let stdin = OwnedFd::from(far.try_clone().unwrap());
    let mut child = start("echo", stdin.into(), OwnedFd::from(far).into());
    near.write_all(b"hello").unwrap();
    near.shutdown(Shutdown::Write).unwrap();
    let mut got = String::new();
    near.read_to_string(&mut got).unwrap();
    assert_eq!(got, "hello");
    assert!(child.wait().unwrap().success());
}

fn a_process_may_end_while_its_input_is_open() {
    let mut child = start("leave", Stdio::piped(), Stdio::piped());
    let stdin = child.stdin.take().unwrap();
    assert!(child.wait().unwrap().success());
    drop(stdin);
}

fn files_are_carried() {
    let mut input = tempfile::NamedTempFile::new().unwrap();
    input.write_all(b"hello").unwrap();
    let output = tempfile::NamedTempFile::new().unwrap();
    let stdin = File::open(input.path()).unwrap();
    let mut child = start("echo", stdin.into(), output.reopen().unwrap().into());
    assert!(child.wait().unwrap().success());
    assert_eq!(std::fs::read(output.path()).unwrap(), b"hello");
}

fn start(task: &str, stdin: Stdio, stdout: Stdio) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .env(CHILD, task)
        .stdin(stdin)
        .stdout(stdout)
        .spawn()
        .unwrap()
}

#[tokio::main(flavor = "current_thread")]
async fn child(task: &str) {
    let listener = Listener::bind(&Address::Stdio, Access::Localhost)
        .await
        .unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let (mut input, mut output) = tokio::io::split(socket);
    match task {
        "echo" => {
            tokio::io::copy(&mut input, &mut output).await.unwrap();
            output.shutdown().await.unwrap();
        }
        "end" => {
            output.write_all(b"bye").await.unwrap();
            output.shutdown().await.unwrap();
            assert_eq!(input.read_u8().await.unwrap(), b'x');
            assert!(input.read_u8().await.is_err());
        }
        // A read is under way when the process ends.
        "leave" => tokio::select! {
            biased;
            _ = input.read_u8() => panic!("nothing was written"),
            () = std::future::ready(()) => {}
        },
        _ => panic!("unknown task {task}"),
    }
}

/// Tells a child what to do.
const CHILD: &str = "TUBES_LOCAL_CHILD";
