//! How a command serves one connection, and what becomes of it.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::{sleep, timeout};
use tubes_local::{Caller, Command, DialError, Export, Socket};

fn caller() -> Caller {
    Caller {
        peer: "fernand@example.org/a 'quoted' \u{e9}".to_owned(),
        service: "x-test".to_owned(),
    }
}

async fn run(line: &str) -> Socket {
    let export = Export::from(Command::shell(line));
    export.open(&caller()).await.unwrap()
}

async fn rest_of(socket: &mut Socket) -> String {
    let mut said = String::new();
    let reading = socket.read_to_string(&mut said);
    timeout(PATIENCE, reading).await.unwrap().unwrap();
    said
}

/// The socket, and the process number that its command says first.
async fn numbered(line: &str) -> (Socket, Pid) {
    let mut reader = BufReader::new(run(line).await);
    let mut said = String::new();
    let reading = reader.read_line(&mut said);
    timeout(PATIENCE, reading).await.unwrap().unwrap();
    let pid = Pid::from_raw(said.trim().parse().unwrap()).unwrap();
    (reader.into_inner(), pid)
}

/// Waits until nothing is left of a process. Nothing tells when a child of somebody else is reaped,
/// hence it is asked, with the clock of the machine: that of the test may be paused.
async fn reaped(pid: Pid) {
    let until = std::time::Instant::now() + PATIENCE;
    while test_kill_process(pid).is_ok() {
        assert!(std::time::Instant::now() < until, "{pid:?} still is");
        std::thread::sleep(BETWEEN_LOOKS);
        sleep(BETWEEN_LOOKS).await;
    }
}

/// Lets this much time pass at once, and checks that the process is there to the last.
async fn lives_for(pid: Pid, time: Duration) {
    let margin = Duration::from_millis(100);
    tokio::time::pause();
    sleep(time - margin).await;
    assert!(test_kill_process(pid).is_ok(), "it was given no time");
    sleep(2 * margin).await;
    tokio::time::resume();
}

#[tokio::test]
async fn its_standard_input_and_output_are_the_connection() {
    let mut socket = run("exec cat").await;
    socket.write_all(b"hello").await.unwrap();
    socket.shutdown().await.unwrap();
    assert_eq!(rest_of(&mut socket).await, "hello");
}

#[tokio::test]
async fn it_learns_from_its_environment_who_connects_to_what() {
    let mut socket = run("printf '%s %s' \"$TUBES_PEER\" \"$TUBES_SERVICE\"").await;
    let expected = format!("{} x-test", caller().peer);
    assert_eq!(rest_of(&mut socket).await, expected);
}

#[tokio::test]
async fn a_program_is_given_its_arguments_as_they_are() {
    let command = Command::new("printf").with_arguments(["%s;", "$HOME", "a b"]);
    assert_eq!(command.to_string(), "printf %s; $HOME a b");
    let mut socket = Export::Command(command).open(&caller()).await.unwrap();
    assert_eq!(rest_of(&mut socket).await, "$HOME;a b;");
}

#[tokio::test]
async fn an_end_of_what_the_peer_says_leaves_the_answer_alone() {
    let mut socket = run("cat >/dev/null; echo all was read").await;
    socket.write_all(&[0; 300_000]).await.unwrap();
    socket.shutdown().await.unwrap();
    assert_eq!(rest_of(&mut socket).await, "all was read\n");
}

#[tokio::test]
async fn it_can_end_what_it_says_and_go_on_listening() {
    let script = "shutdown(STDOUT, 1); my $line = <STDIN>; exit($line eq \"go on\\n\" ? 0 : 1)";
    let perl = Command::new("perl").with_arguments(["-e", script]);
    let mut socket = Export::Command(perl).open(&caller()).await.unwrap();
    assert_eq!(rest_of(&mut socket).await, "");
    // Would fail if nobody listened.
    socket.write_all(b"go on\n").await.unwrap();
}

#[tokio::test]
async fn each_connection_has_one_of_its_own() {
    let export = Export::from(Command::shell("echo $$; exec cat"));
    let caller = caller();
    let (first, second) = tokio::join!(export.open(&caller), export.open(&caller));
    let (mut first, mut second) = (first.unwrap(), second.unwrap());
    first.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
    assert_ne!(rest_of(&mut first).await, rest_of(&mut second).await);
}

#[tokio::test]
async fn one_that_ended_is_reaped() {
    let (mut socket, pid) = numbered("echo $$; exit 3").await;
    rest_of(&mut socket).await;
    reaped(pid).await;
}

#[tokio::test]
async fn a_broken_connection_ends_it_and_what_it_started() {
    let (socket, child) = numbered("sleep 1000 & echo $!; wait").await;
    socket.abort();
    reaped(child).await;
}

#[tokio::test]
async fn one_that_will_not_end_is_made_to() {
    let (socket, pid) = numbered("trap '' TERM; echo $$; while :; do sleep 1000; done").await;
    socket.abort();
    lives_for(pid, Duration::from_secs(5)).await;
    reaped(pid).await;
}

#[tokio::test]
async fn after_a_proper_end_it_has_time_for_what_is_left_to_do() {
    let (socket, pid) = numbered("echo $$; exec sleep 1000").await;
    drop(socket);
    lives_for(pid, Duration::from_secs(10)).await;
    reaped(pid).await;
}

#[test]
fn it_does_not_outlive_the_runtime_of_its_connection() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (socket, child) = runtime.block_on(numbered("trap '' TERM; sleep 1000 & echo $!; wait"));
    drop(runtime);
    drop(socket);
    let after = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    after.unwrap().block_on(reaped(child));
}

#[tokio::test]
async fn one_that_is_not_there_is_named() {
    let export = Export::from(Command::new("/nowhere/at-all"));
    let error = export.open(&caller()).await.unwrap_err();
    assert!(matches!(error, DialError::Command { .. }), "{error}");
    assert!(error.to_string().contains("/nowhere/at-all"), "{error}");
    assert!(!error.may_pass());
}

#[tokio::test]
async fn a_header_is_not_for_commands() {
    let export = Export::from(Command::shell("exec cat"));
    assert_eq!(export.clone().with_proxy_header(), export);
}

/// Commands take milliseconds, unless the machine is very busy.
const PATIENCE: Duration = Duration::from_secs(30);

const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
